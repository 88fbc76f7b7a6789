"""The `ethercat:` and `modbus:` keys of the machine file, and whether they give what the machine needs."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator

from controller.settings.base import Settings, bounded, text
from controller.settings.document import SettingsError, read_document
from controller.shared.layout import ReadingChannel
from drivers.devices.registry import MODBUS_DEVICES
from drivers.ethercat.signals import SignalId
from drivers.ethercat.topology import Topology, TopologyError, read_topology
from drivers.image import GRIPPER_COUNT, AxisId
from drivers.modbus.reading import Endpoint

if TYPE_CHECKING:
    from controller.settings.machine import MachineSettings

VIRTUAL = "virtual"  # the interface that stands for simulated hardware

_CAMERAS = ("SHEET_CAMERA_ANODE", "SHEET_CAMERA_CATHODE", "STACK_CAMERA")
_MODBUS_SIGNALS: dict[str, dict[SignalId, int]] = {
    "TENSION": {SignalId.TENSION: 1},
    "DANCER": {SignalId.DANCER_POSITION: 1},
    "IO_BLOCK": {SignalId.MAGAZINE_SHEETS: 2, SignalId.HIPOT_RESISTANCE: 1},
}
_NEEDED: dict[SignalId, int] = {
    **{signal: 1 for signal in SignalId if signal < SignalId.VACUUM_ON},
    SignalId.VACUUM: GRIPPER_COUNT,
    SignalId.SHEET_THICKNESS: 2,
    SignalId.MAGAZINE_SHEETS: 2,
    SignalId.VACUUM_ON: GRIPPER_COUNT,
}


def _known_device(name: str) -> str:
    if name not in MODBUS_DEVICES:
        raise ValueError(f"no such device; write one of {', '.join(MODBUS_DEVICES)}")
    return name


def _known_reading(name: str) -> str:
    if name not in ReadingChannel.__members__:
        known = ", ".join(ReadingChannel.__members__)
        raise ValueError(f"no such reading; write one of {known}")
    return name


class ModbusSettings(Settings):
    """One Modbus device: its model, where it answers, and whose reading it gives."""

    device: Annotated[str, AfterValidator(_known_device)]
    host: str = text(253)
    port: int = bounded(1, 65535)
    station: int = bounded(0, 7)
    reading: Annotated[str, AfterValidator(_known_reading)]
    timeout_s: float = bounded(0.01, 10.0, default=0.25)

    def endpoint(self) -> Endpoint:
        """Return it as the poller takes it."""
        device = MODBUS_DEVICES[self.device]
        return Endpoint(
            device, self.host, self.port, self.station, self.reading, timeout_s=self.timeout_s
        )


def load_topology(machine: "MachineSettings", interface: str | None = None) -> Topology:
    """Read the bus's topology and compare it with the machine; `interface` replaces the file's.

    SettingsError names file, key, value, limit and remedy of everything that is wrong.
    """
    path = Path(machine.ethercat or "")
    values = read_document(path).data
    if interface is not None:
        values["interface"] = interface
    try:
        topology = read_topology(values, str(path), period_ns=machine.period_us * 1000)
    except TopologyError as error:
        raise SettingsError([str(error)]) from None
    problems = [f"{path}: {problem}" for problem in _problems(machine, topology)]
    if problems:
        raise SettingsError(problems)
    return topology


def _problems(machine: "MachineSettings", topology: Topology) -> Iterator[str]:
    """What the machine needs and neither the bus nor a Modbus device gives."""
    count = len(machine.stations)
    for position, slave in enumerate(topology.slaves, 1):
        if slave.station >= count:
            yield (
                f"slave {position} ({slave.label}): the machine has {count} station(s), "
                "counted from 0; correct station"
            )
    for station in range(count):
        yield from _missing_axes(topology, station)
        yield from _missing_signals(machine, topology, station)


def _missing_axes(topology: Topology, station: int) -> Iterator[str]:
    driven = {slave.axis for slave in topology.slaves if slave.station == station}
    lacking = [axis.name for axis in AxisId if axis not in driven]
    if lacking:
        yield f"station {station}: no drive for {', '.join(lacking)}; add it under slaves"


def _missing_signals(machine: "MachineSettings", topology: Topology, station: int) -> Iterator[str]:
    readings = [device.reading for device in machine.modbus if device.station == station]
    for camera in _CAMERAS:
        if camera not in readings:
            yield f"station {station}: no {camera}; add it under modbus in the machine file"
    slaves = (slave for slave in topology.slaves if slave.station == station)
    given = Counter(channel.signal for slave in slaves for channel in slave.channels)
    for reading in readings:
        given.update(_MODBUS_SIGNALS.get(reading, {}))
    for signal, needed in _NEEDED.items():
        if given[signal] < needed:
            yield (
                f"station {station}: {given[signal]} of {needed} channels for {signal.name}; "
                "add them to a terminal or a Modbus device"
            )
