"""`foldline bus`: look at an EtherCAT bus and its objects, beside a running controller or without one.

Reads registers and mailboxes with single frames of its own; it changes no state and no configuration.
"""

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
import yaml
from rich.console import Console
from rich.table import Table

from controller.running import find_running
from controller.shared.layout import ProcessId
from controller.shared.view import SharedView
from drivers.cia402 import ErrorCode, ObjectIndex
from drivers.devices.registry import DEVICES
from drivers.ethercat.acyclic import Acyclic, BusError, SocketTransfer
from drivers.ethercat.namespace import join
from drivers.ethercat.protocol import Register, al_status_text
from drivers.ethercat.topology import Topology, TopologyError, read_topology
from drivers.image import BusState

bus_app = typer.Typer(help="Look at the fieldbus.", add_completion=False)
sdo_app = typer.Typer(help="Read and write objects of a slave.", no_args_is_help=True)
bus_app.add_typer(sdo_app, name="sdo")

Interface = Annotated[str, typer.Option("--interface", "-i", help="Network interface of the bus.")]
Position = Annotated[int, typer.Argument(help="Place on the bus, from 1.")]
Index = Annotated[str, typer.Argument(help="Object as index:subindex, such as 0x6041:0.")]
_FORMATS = {1: "B", 2: "H", 4: "I"}
_DC_SUPPORTED = 0x04


@contextmanager
def _acyclic(interface: str) -> Iterator[Acyclic]:
    """A slow path on an interface; a failure is one line and status 1."""
    try:
        transfer = SocketTransfer(interface)
    except TopologyError as error:
        raise _failed(error) from None
    try:
        yield Acyclic(transfer)
    except BusError as error:
        raise _failed(BusError(f"{interface}: {error}")) from None
    finally:
        transfer.close()


def _failed(error: Exception) -> typer.Exit:
    typer.echo(str(error), err=True)
    return typer.Exit(1)


def _object(text: str) -> tuple[int, int]:
    index, _, subindex = text.partition(":")
    try:
        return int(index, 16), int(subindex or "0", 0)
    except ValueError:
        raise typer.BadParameter(f"{text}: expected index:subindex, such as 0x6041:0") from None


@bus_app.callback(invoke_without_command=True)
def bus(
    context: typer.Context,
    interface: Interface = "",
    topology: Annotated[Path | None, typer.Option(help="Topology file to compare with.")] = None,
) -> None:
    """Show what the running loop counts, and list an interface's slaves with state, errors and clock."""
    running = find_running()
    context.obj = interface or "eth1"
    if running is not None and context.obj not in dict(socket.if_nameindex()).values():
        _join(running)
    if context.invoked_subcommand is not None:
        return
    if running is not None:
        _show_loop(running)
        if not interface:
            return
    interface = context.obj
    expected = _read_topology(topology) if topology else None
    with _acyclic(interface) as slow:
        positions = range(slow.count())
        reference = next((n for n in positions if _has_clock(slow, n)), None)
        rows = [_slave_row(slow, n, expected, n == reference) for n in positions]
    table = Table(title=f"EtherCAT on {interface}: {len(rows)} slaves")
    for heading in ("#", "device", "identity", "state", "clock", "lost links", "drive error"):
        table.add_column(heading)
    for row in rows:
        table.add_row(*row)
    Console().print(table)
    if expected is not None and len(rows) != len(expected.slaves):
        raise _failed(
            BusError(f"{interface}: expected {len(expected.slaves)} slaves, found {len(rows)}")
        )


def _join(running: SharedView) -> None:
    """A bus on virtual hardware is in the core's own namespace."""
    try:
        join(int(running.header["pids"][ProcessId.CORE]))
    except OSError as error:
        typer.echo(f"the running core's namespace: {error}", err=True)


def _show_loop(running: SharedView) -> None:
    machine, statistics = running.read_machine(), running.read_statistics()
    if machine is None or statistics is None:
        return
    table = Table(title="the running loop", show_header=False)
    rows = {
        "bus": BusState(int(machine["bus_state"])).name,
        "AL status of all slaves": al_status_text(int(machine["al_status"])),
        "working counter": f"{machine['working_counter']} of {machine['working_counter_expected']}",
        "frames lost": f"{machine['frames_lost']}",
        "frames late": f"{machine['frames_late']}",
        "misses in a row": f"{machine['misses_in_a_row']}",
        "clock offset": f"{int(machine['clock_offset_ns']) * 1e-3:.1f} us",
        "cycles": f"{statistics['cycles']}",
        "periods missed": f"{statistics['overruns']}",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    Console().print(table)


def _read_topology(path: Path) -> Topology:
    try:
        return read_topology(yaml.safe_load(path.read_text()) or {}, str(path))
    except (OSError, yaml.YAMLError, TopologyError) as error:
        raise _failed(error) from None


def _slave_row(
    slow: Acyclic, position: int, expected: Topology | None, is_reference: bool
) -> list[str]:
    identity = slow.identity(position)
    known = [model for model in DEVICES.values() if model.identity == identity]
    name = known[0].name if known else "unknown"
    if expected is not None and position < len(expected.slaves):
        setup = expected.slaves[position]
        name = setup.label if setup.expected_identity == identity else f"WRONG: {setup.label}"
    status = slow.word(position, Register.AL_STATUS)
    code = slow.word(position, Register.AL_STATUS_CODE)
    lost = sum(slow.read(position, Register.LOST_LINKS, 4))
    return [
        str(position + 1), name, str(identity), al_status_text(status, code),
        "reference" if is_reference else _clock(slow, position),
        str(lost), _drive_error(slow, position),
    ]  # fmt: skip


def _has_clock(slow: Acyclic, position: int) -> bool:
    return slow.word(position, Register.FEATURES) & _DC_SUPPORTED != 0


def _clock(slow: Acyclic, position: int) -> str:
    """How far a slave's clock is from the reference's, the first on the bus; empty without one."""
    if not _has_clock(slow, position):
        return ""
    difference = int.from_bytes(slow.read(position, Register.DC_DIFFERENCE, 4), "little")
    sign = -1 if difference >> 31 else 1
    return f"{sign * (difference & 0x7FFFFFFF)} ns"


def _drive_error(slow: Acyclic, position: int) -> str:
    """A drive's error code in words, empty for what is no drive."""
    try:
        code = int.from_bytes(slow.sdo_read(position, ObjectIndex.ERROR_CODE, 0), "little")
    except BusError:
        return ""
    known = {int(member): member for member in ErrorCode}
    words = known[code].name.lower().replace("_", " ") if code in known else "unknown code"
    return f"{code:#06x} {words}" if code else "none"


@sdo_app.command("read")
def sdo_read(context: typer.Context, position: Position, index: Index) -> None:
    """Upload an object and show it as bytes and, where it fits, as a number."""
    with _acyclic(context.obj) as slow:
        data = slow.sdo_read(position - 1, *_object(index))
    number = f"  {int.from_bytes(data, 'little')}" if len(data) in _FORMATS else ""
    typer.echo(f"{index}: {data.hex(' ')}{number}")


@sdo_app.command("write")
def sdo_write(
    context: typer.Context,
    position: Position,
    index: Index,
    value: Annotated[int, typer.Argument(help="The number to write.")],
) -> None:
    """Download a number, in the size the object has."""
    with _acyclic(context.obj) as slow:
        where = _object(index)
        size = len(slow.sdo_read(position - 1, *where))
        if size not in _FORMATS:
            raise _failed(BusError(f"{index}: {size} bytes: only 1, 2 and 4 can be written"))
        mask = (1 << 8 * size) - 1
        if not -(mask // 2) - 1 <= value <= mask:
            raise _failed(BusError(f"{index} = {value}: does not fit {size} bytes"))
        slow.sdo_write(position - 1, *where, struct.pack("<" + _FORMATS[size], value & mask))
    typer.echo(f"{index} = {value}: written")
