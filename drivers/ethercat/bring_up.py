"""Bring-up with pysoem: from an unknown bus to every slave in SAFE-OP, verified against the topology.

The compiled exchange takes over in SAFE-OP; OP is asked for while it runs, so no drive's watchdog sees a
gap. pysoem keeps a socket of its own for the slow path, filtered from the cyclic frames.
"""

import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pysoem

from drivers.devices.description import DeviceDescription, Identity, Pdo
from drivers.ethercat.link import LINK_DTYPE, Placement, make_link, place, reference_clock
from drivers.ethercat.packet_socket import filter_by_index, open_packet_socket
from drivers.ethercat.protocol import (
    FMMU_BYTES,
    AlState,
    Register,
    SdoAbort,
    al_status_text,
)
from drivers.ethercat.topology import SlaveSetup, Topology, TopologyError

_TRIES = 5
_ATTEMPTS = 6
_STATE_TIMEOUT_US = 2_000_000
_ERROR = 0x10


class _Doubtful(TopologyError):
    """A finding that a lost frame could explain: only what repeats is believed."""


class Bus:
    """An EtherCAT bus after bring-up: the exchange's context and the slow path beside it."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self.context: np.ndarray = make_link(topology)
        self.link: np.void = self.context.view(LINK_DTYPE)[0]
        self._socket: socket.socket = open_packet_socket(topology.interface)
        self.link["descriptor"] = self._socket.fileno()
        self.master: Any = pysoem.Master()
        self._startup_errors: list[str] = []
        self._refused = False
        self._lost: set[int] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ask every slave for INIT and close both sockets."""
        if self.master.slaves:
            self.master.state = pysoem.INIT_STATE
            self.master.write_state()
        self.master.close()
        self._socket.close()

    # -- bring-up, in order

    def bring_up(self) -> None:
        """Take every slave to SAFE-OP; TopologyError names interface, position, expected and found."""
        pysoem.settings.always_release_gil = True
        self._open()
        for attempt in range(_ATTEMPTS):
            try:
                self._configure()
                return
            except (pysoem.MailboxError, pysoem.PacketError, pysoem.WkcError) as error:
                if attempt == _ATTEMPTS - 1:
                    raise TopologyError(f"{self.topology.interface}: {error!r}") from None
            except _Doubtful:
                if attempt == _ATTEMPTS - 1:
                    raise

    def _configure(self) -> None:
        self.master.manual_state_change = False
        self._find_slaves()
        self._check_identities()
        self._check_addressed()
        self.master.manual_state_change = True
        if self.topology.distributed_clock and reference_clock(self.topology) is not None:
            self.master.config_dc()
        for setup, slave in zip(self.topology.slaves, self.master.slaves, strict=True):
            slave.config_func = self._configurator(setup, slave)
        self._map()
        self._check_maps()
        self._to_state(pysoem.SAFEOP_STATE)

    def _open(self) -> None:
        before = _sockets()
        try:
            self.master.open(self.topology.interface)
        except (ConnectionError, OSError) as error:
            raise TopologyError(f"{self.topology.interface}: cannot be opened: {error}") from None
        for descriptor in _sockets() - before:
            filter_by_index(descriptor, cyclic=False)

    def _find_slaves(self) -> None:
        expected, found = len(self.topology.slaves), 0
        for _ in range(_TRIES):
            found = max(self.master.config_init(), 0)
            if found == expected:
                return
        raise TopologyError(
            f"{self.topology.interface}: expected {expected} slaves, found {found}; "
            "check cable and power" + self._first_difference(found)
        )

    def _first_difference(self, found: int) -> str:
        """Say where a bus of the wrong length first differs."""
        for position, setup in enumerate(self.topology.slaves[:found]):
            if self._identity(position) != setup.expected_identity:
                return f"; first difference at position {position + 1} ({setup.label})"
        if found < len(self.topology.slaves):
            return f"; missing from position {found + 1} ({self.topology.slaves[found].label})"
        return ""

    def _identity(self, position: int) -> Identity:
        slave = self.master.slaves[position]
        return Identity(slave.man, slave.id, slave.rev)

    def _check_identities(self) -> None:
        for position, setup in enumerate(self.topology.slaves):
            found, expected = self._identity(position), setup.expected_identity
            if found != expected:
                unread = found == Identity(0, 0, 0)
                raise (_Doubtful if unread else TopologyError)(
                    f"{self.topology.interface}: position {position + 1} ({setup.label}): expected "
                    f"{setup.device.name} {expected}, found {self.master.slaves[position].name} {found}"
                )

    def _check_addressed(self) -> None:
        """A slave that missed its station address or PRE-OP would stall all that follows."""
        for position, slave in enumerate(self.master.slaves):
            where = f"{self.topology.interface}: position {position + 1}"
            try:
                state = _read(slave, Register.AL_STATUS, 2)[0]
            except pysoem.WkcError:
                raise _Doubtful(f"{where}: no answer under its station address") from None
            if state != AlState.PREOP:
                raise _Doubtful(f"{where}: expected PREOP, found {al_status_text(state)}")

    def _configurator(self, setup: SlaveSetup, slave: Any) -> Callable[[int], None]:
        """Return what pysoem calls in PRE-OP, at bring-up and after a power cycle."""

        def configure(position: int) -> None:
            for write in setup.device.startup:
                data = struct.pack("<" + write.type.format, write.value)
                self._startup_write(slave, setup, position, write.index, write.subindex, data)
            if self.topology.distributed_clock and setup.device.distributed_clock:
                if position in self._lost:
                    self._set_clock(slave)
                slave.dc_sync(True, self.topology.period_ns, 0)

        return configure

    def _startup_write(
        self, slave: Any, setup: SlaveSetup, position: int, index: int, subindex: int, data: bytes
    ) -> None:
        reason = "no answer"
        for _ in range(_TRIES):
            try:
                slave.sdo_write(index, subindex, data)
                return
            except pysoem.SdoError as error:
                reason = f"abort {error.abort_code:#010x} {error.desc}"
                if error.abort_code != SdoAbort.STATE:
                    self._refused = True
                    break
            except (pysoem.MailboxError, pysoem.PacketError, pysoem.WkcError):
                continue
        self._startup_errors.append(
            f"position {position + 1} ({setup.label}): start-up SDO {index:#06x}:{subindex} = "
            f"{data.hex()}: {reason}"
        )

    def _set_clock(self, slave: Any) -> None:
        """Bring a returned slave's clock near the reference; the cyclic FRMW takes it from there."""
        reference = reference_clock(self.topology)
        if reference is None:
            return
        first = self.master.slaves[reference]
        wanted, there = (int.from_bytes(_read(s, Register.DC_SYSTEM_TIME, 8), "little")
                         for s in (first, slave))  # fmt: skip
        offset = int.from_bytes(_read(slave, Register.DC_OFFSET, 8), "little") + wanted - there
        data = (offset % 2**64).to_bytes(8, "little")
        _patiently(lambda: slave._fpwr(Register.DC_OFFSET, data))

    def _map(self) -> None:
        error: Exception | None = None
        for _ in range(_TRIES):
            self._startup_errors.clear()
            try:
                self.master.config_map()
                error = None
            except (pysoem.ConfigMapError, pysoem.PacketError) as problem:
                error = problem
            if self._refused:
                break
            if self._startup_errors:
                continue
            if error is None and self.master.expected_wkc == self._expected_counter():
                return
        if self._startup_errors:
            kind = TopologyError if self._refused else _Doubtful
            raise kind(f"{self.topology.interface}: {self._startup_errors[0]}")
        if error is not None:
            raise _Doubtful(f"{self.topology.interface}: process data not mapped: {error}")
        raise _Doubtful(
            f"{self.topology.interface}: working counter: expected {self._expected_counter()}, "
            f"found {self.master.expected_wkc}; check the device files' PDO maps"
        )

    def _expected_counter(self) -> int:
        return sum(setup.device.working_counter for setup in self.topology.slaves)

    def _check_maps(self) -> None:
        placements = place(self.topology.slaves)
        for n, (setup, slave) in enumerate(
            zip(self.topology.slaves, self.master.slaves, strict=True)
        ):
            where = f"{self.topology.interface}: position {n + 1} ({setup.label})"
            sizes = (len(slave.output), len(slave.input))
            expected = (setup.device.output_bytes, setup.device.input_bytes)
            if sizes != expected:
                raise _Doubtful(
                    f"{where}: PDO size: expected {expected[0]} bytes out and {expected[1]} in, "
                    f"found {sizes[0]} and {sizes[1]}; check the device file {setup.device.name}"
                )
            if setup.device.mailbox:
                _check_pdos(slave, setup.device, where)
            self._check_addresses(slave, placements[n], where)

    def _check_addresses(self, slave: Any, placement: Placement, where: str) -> None:
        """The FMMUs must map where the compiled exchange reads and writes."""
        found = {"outputs": 0, "inputs": 0}
        for number in range(3):
            row = _read(slave, Register.FMMU + number * FMMU_BYTES, FMMU_BYTES)
            start, length = struct.unpack("<IH", row[:6])
            if row[12] and length and row[11] in (1, 2):
                found["inputs" if row[11] == 1 else "outputs"] = start
        for name, size in (("outputs", placement.output_bytes), ("inputs", placement.input_bytes)):
            expected = getattr(placement, name)
            if size and found[name] != expected:
                raise _Doubtful(
                    f"{where}: logical address of {name}: expected {expected}, found {found[name]}"
                )

    # -- states

    def _to_state(self, state: int) -> None:
        self.master.state = state
        for _ in range(_TRIES):
            self.master.write_state()
            if self.master.state_check(state, _STATE_TIMEOUT_US // _TRIES) == state:
                return
            if self._acknowledge():
                break
        raise TopologyError(f"{self.topology.interface}: {self.describe_states(state)}")

    def _acknowledge(self) -> bool:
        """Return whether a slave refuses with an error rather than being slow or unheard."""
        self.master.read_state()
        return any(slave.state & _ERROR for slave in self.master.slaves)

    def describe_states(self, wanted: int) -> str:
        """Name the slaves that are not in a state, with their AL status in words."""
        self.master.read_state()
        lines = [
            f"position {n + 1} ({setup.label}): expected {AlState(wanted).name}, "
            f"found {al_status_text(slave.state, slave.al_status)}"
            for n, (setup, slave) in enumerate(
                zip(self.topology.slaves, self.master.slaves, strict=True)
            )
            if slave.state != wanted
        ]
        return "; ".join(lines[:4]) or "all slaves answer"

    def request_operational(self, timeout_s: float = 5.0) -> None:
        """Ask for OP while the exchange runs; TopologyError names who does not come."""
        deadline = time.monotonic() + timeout_s
        self.master.state = pysoem.OP_STATE
        self.master.write_state()
        while self.master.state_check(pysoem.OP_STATE, 50_000) != pysoem.OP_STATE:
            if time.monotonic() > deadline:
                raise TopologyError(
                    f"{self.topology.interface}: {self.describe_states(pysoem.OP_STATE)}"
                )
            self.restore()

    def restore(self) -> list[str]:
        """One pass of the slow path: bring slaves that left OP, or came back, towards it.

        Returns what was done, in words; nothing where all is well.
        """
        done: list[str] = []
        self.master.read_state()
        for n, (setup, slave) in enumerate(
            zip(self.topology.slaves, self.master.slaves, strict=True)
        ):
            if slave.state != pysoem.OP_STATE and (action := self._restore_one(n, slave)):
                done.append(f"position {n + 1} ({setup.label}): {action}")
        return done

    def _restore_one(self, position: int, slave: Any) -> str:
        status = al_status_text(slave.state, slave.al_status)
        if slave.state == pysoem.NONE_STATE:
            self._lost.add(position)
            return "found again" if slave.recover(20_000) else ""
        if slave.state == pysoem.SAFEOP_STATE:
            self._lost.discard(position)
            slave.state = pysoem.OP_STATE
            slave.write_state()
            return f"{status}: OP asked for"
        if slave.state == pysoem.SAFEOP_STATE | _ERROR:
            slave.state = pysoem.SAFEOP_STATE | pysoem.STATE_ACK
            slave.write_state()
            return f"{status}: acknowledged"
        return f"{status}: configured again" if slave.reconfig(100_000) else ""


def _sockets() -> set[int]:
    """Return this process's socket descriptors."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            if str(entry.readlink()).startswith("socket:"):
                found.add(int(entry.name))
        except OSError:
            continue
    return found


def _check_pdos(slave: Any, model: DeviceDescription, where: str) -> None:
    """Compare the assigned PDOs and every entry with the device file."""
    for assign, pdos in ((0x1C12, model.outputs), (0x1C13, model.inputs)):
        count = _upload(slave, assign, 0)[0]
        found = [int.from_bytes(_upload(slave, assign, n + 1), "little") for n in range(count)]
        expected = [pdo.index for pdo in pdos]
        if found != expected:
            raise TopologyError(
                f"{where}: PDO assignment {assign:#06x}: expected {_hex(expected)}, found {_hex(found)}"
            )
        for pdo in pdos:
            _check_entries(slave, model, pdo, where)


def _check_entries(slave: Any, model: DeviceDescription, pdo: Pdo, where: str) -> None:
    expected = [
        index << 16 | subindex << 8 | model.object(index, subindex).type.bits
        for index, subindex in pdo.entries
    ]
    count = _upload(slave, pdo.index, 0)[0]
    found = [int.from_bytes(_upload(slave, pdo.index, n + 1), "little") for n in range(count)]
    if found != expected:
        raise TopologyError(
            f"{where}: PDO {pdo.index:#06x}: expected {_hex(expected)}, found {_hex(found)}"
        )


def _patiently(action: Callable[[], Any]) -> Any:
    """Repeat a request whose frame may have been lost; the last failure stands."""
    for _ in range(_TRIES - 1):
        try:
            return action()
        except (pysoem.MailboxError, pysoem.PacketError, pysoem.WkcError):
            continue
    return action()


def _read(slave: Any, register: int, size: int) -> bytes:
    data: bytes = _patiently(lambda: slave._fprd(register, size))
    return data


def _upload(slave: Any, index: int, subindex: int) -> bytes:
    data: bytes = _patiently(lambda: slave.sdo_read(index, subindex))
    return data


def _hex(values: list[int]) -> str:
    return "[" + ", ".join(f"{value:#x}" for value in values) + "]"
