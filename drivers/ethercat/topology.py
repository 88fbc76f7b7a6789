"""The configured bus: which slave stands where, what it drives, and how the exchange reacts."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from drivers.devices.description import DeviceDescription, DeviceKind, Identity
from drivers.devices.registry import device
from drivers.ethercat.signals import (
    DIGITAL_CHANNELS,
    HANDLING_CHANNELS,
    WEB_CHANNELS,
    Channel,
    SignalId,
)
from drivers.image import AXIS_KIND, ROTARY_KINDS, STATIONS_MAX, AxisId, AxisKind

_RATED_FORCE_N: dict[AxisKind, float] = {
    AxisKind.TABLE_X: 320.0,
    AxisKind.TABLE_Z: 200.0,
    AxisKind.ARM_X: 100.0,
    AxisKind.ARM_Z: 50.0,
    AxisKind.DANCER: 10.0,
    AxisKind.CUT: 200.0,
    AxisKind.STAGE_THETA: 2.0,
    AxisKind.WRAP: 5.0,
    AxisKind.CHANGER: 40.0,
}


class TopologyError(ValueError):
    """The configured or the found bus cannot be used; the message names place, expected and found."""


@dataclass(frozen=True, slots=True)
class SlaveSetup:
    """One slave at its place: a drive moves an axis, a terminal carries channels.

    `increments_per_unit` counts encoder increments a metre or radian, `rated_force_n` what 100 % torque is.
    """

    device: DeviceDescription
    station: int = 0
    axis: AxisId | None = None
    increments_per_unit: float = 1e7
    rated_force_n: float = 20.0
    channels: tuple[Channel, ...] = ()
    identity: Identity | None = None  # of the real product behind a generic device file

    @property
    def expected_identity(self) -> Identity:
        """What the EEPROM at this place has to say."""
        return self.identity or self.device.identity

    @property
    def label(self) -> str:
        """What it is for, in a message."""
        axis = self.axis.name if self.axis is not None else self.device.title
        return f"station {self.station} {axis}"


@dataclass(frozen=True, slots=True)
class Topology:
    """The whole bus and the policy of its exchange.

    Up to `misses_tolerated` missed cycles in a row leave the bus operational, more degrade it, `misses_stop`
    bring it down (a controlled stop). `spin_ns` is how long the loop looks for its reply before it sleeps:
    worth it on a processor of its own. `sync0_shift_ns` is how long after the cycle's frame SYNC0 fires.
    """

    slaves: tuple[SlaveSetup, ...]
    interface: str = "eth1"
    period_ns: int = 1_000_000
    reply_timeout_ns: int = 400_000
    misses_tolerated: int = 1
    misses_stop: int = 5
    spin_ns: int = 0
    sync0_shift_ns: int = 500_000
    distributed_clock: bool = True

    def __post_init__(self) -> None:
        if not self.slaves:
            raise TopologyError(f"{self.interface}: slaves: none configured; list at least one")
        if not 0 < self.reply_timeout_ns < self.period_ns:
            raise TopologyError(
                f"{self.interface}: reply_timeout_ns = {self.reply_timeout_ns}: must lie within "
                f"the period of {self.period_ns}; lower it"
            )
        taken: dict[tuple[int, AxisId], int] = {}
        for position, slave in enumerate(self.slaves, 1):
            if slave.axis is None:
                continue
            other = taken.setdefault((slave.station, slave.axis), position)
            if other != position:
                raise TopologyError(f"slaves {other} and {position} both are {slave.label}")


def drive_setup(axis: AxisId, station: int, model: str = "generic_csp_drive") -> SlaveSetup:
    """Return a drive for an axis with the reference machine's encoder and rating."""
    kind = AXIS_KIND[axis]
    rotary = kind in ROTARY_KINDS
    increments = 1e6 if rotary and kind is not AxisKind.STAGE_THETA else 1e7
    return SlaveSetup(device(model), station, axis, increments, _RATED_FORCE_N.get(kind, 20.0))


def station_slaves(station: int) -> tuple[SlaveSetup, ...]:
    """Return the reference station: a drive an axis, a digital and two analogue terminals."""
    compact = {AxisKind.FINGER_IN, AxisKind.FINGER_DOWN}
    drives = tuple(
        drive_setup(
            axis,
            station,
            "generic_compact_drive" if AXIS_KIND[axis] in compact else "generic_csp_drive",
        )
        for axis in AxisId
    )
    digital = SlaveSetup(device("generic_digital_terminal"), station, channels=DIGITAL_CHANNELS)
    analogue = device("generic_analogue_terminal")
    return (
        *drives,
        digital,
        SlaveSetup(analogue, station, channels=HANDLING_CHANNELS),
        SlaveSetup(analogue, station, channels=WEB_CHANNELS),
    )


def stacker_topology(stations: int = 1, **policy: Any) -> Topology:
    """Return the reference machine's bus for 1 to 8 stations."""
    slaves = tuple(slave for station in range(stations) for slave in station_slaves(station))
    return Topology(slaves=slaves, **policy)


def drives_topology(count: int, **policy: Any) -> Topology:
    """Return a bus of bare drives: the first `count` axes, station after station."""
    axes = [(axis, station) for station in range(STATIONS_MAX) for axis in AxisId][:count]
    return Topology(slaves=tuple(drive_setup(axis, station) for axis, station in axes), **policy)


# What a file may say of the exchange, with limits.
_LIMITS: dict[str, tuple[int, int]] = {
    "reply_timeout_ns": (10_000, 4_000_000),
    "misses_tolerated": (0, 1000),
    "misses_stop": (1, 1000),
    "spin_ns": (0, 4_000_000),
    "sync0_shift_ns": (0, 4_000_000),
}
_FLAGS = ("distributed_clock",)
_KEYS = ("interface", "stations", "slaves", *_LIMITS, *_FLAGS)


def read_topology(
    values: Mapping[str, Any], source: str = "ethercat.yaml", *, period_ns: int = 1_000_000
) -> Topology:
    """Return a topology from a mapping as YAML gives it; `period_ns` is the machine's cycle.

    `stations: n` stands for the reference slaves, the other keys are Topology's fields. Raises TopologyError
    that names key, value and limit.
    """
    settings = dict(values)
    for key, value in settings.items():
        _check_value(key, value, source)
    settings["period_ns"] = period_ns
    stations = settings.pop("stations", None)
    rows = settings.pop("slaves", None)
    if (stations is None) == (rows is None):
        raise TopologyError(f"{source}: give either stations (a number) or slaves (a list)")
    try:
        if stations is not None:
            return stacker_topology(stations, **settings)
        slaves = tuple(_read_slave(row, f"slaves[{n}]") for n, row in enumerate(rows or ()))
        return Topology(slaves=slaves, **settings)
    except TopologyError as error:
        raise TopologyError(f"{source}: {error}") from None


def _check_value(key: str, value: Any, source: str) -> None:
    if key not in _KEYS:
        raise TopologyError(f"{source}: {key}: unknown key; known: {', '.join(_KEYS)}")
    low, high = _LIMITS.get(key, (1, STATIONS_MAX))
    if key in _LIMITS or key == "stations":
        right = type(value) is int and low <= value <= high
        expected = f"a whole number from {low} to {high}"
    elif key in _FLAGS:
        right, expected = isinstance(value, bool), "true or false"
    elif key == "interface":
        right, expected = isinstance(value, str) and bool(value), "the name of a network interface"
    else:
        right, expected = isinstance(value, list), "a list; begin each entry with `- `"
    if not right:
        raise TopologyError(f"{source}: {key} = {value!r}: expected {expected}; correct it")


_SLAVE_KEYS = {"device", "station", "axis", "increments_per_unit", "rated_force_n", "channels",
               "identity"}  # fmt: skip


def _read_slave(row: Any, where: str) -> SlaveSetup:
    if not isinstance(row, Mapping) or "device" not in row:
        raise TopologyError(f"{where}: expected a mapping with at least the key device")
    unknown = set(row) - _SLAVE_KEYS
    if unknown:
        raise TopologyError(f"{where}: unknown key {min(unknown)}")
    try:
        model = device(str(row["device"]))
    except KeyError as error:
        raise TopologyError(f"{where}: {error.args[0]}") from None
    axis = row.get("axis")
    if axis is not None and axis not in AxisId.__members__:
        raise TopologyError(
            f"{where}.axis = {axis}: not an axis; known: {', '.join(AxisId.__members__)}"
        )
    if (axis is None) == (model.kind is DeviceKind.DRIVE):
        raise TopologyError(f"{where}: a drive needs an axis, a terminal has none")
    station = row.get("station", 0)
    if type(station) is not int or not 0 <= station < STATIONS_MAX:
        raise TopologyError(f"{where}.station = {station!r}: expected 0 to {STATIONS_MAX - 1}")
    return SlaveSetup(
        model,
        station,
        AxisId[axis] if axis is not None else None,
        _positive(row, "increments_per_unit", 1e7, where),
        _positive(row, "rated_force_n", 20.0, where),
        tuple(_read_channel(item, where) for item in row.get("channels") or ()),
        _read_identity(row.get("identity"), where),
    )


def _positive(row: Mapping[str, Any], key: str, default: float, where: str) -> float:
    value = row.get(key, default)
    if not isinstance(value, int | float) or not 0.0 < value < 1e15:
        raise TopologyError(f"{where}.{key} = {value!r}: expected a number above 0; correct it")
    return float(value)


def _read_identity(value: Any, where: str) -> Identity | None:
    if value is None:
        return None
    try:
        return Identity(**{key: int(number) for key, number in value.items()})
    except (AttributeError, TypeError, ValueError):
        keys = ", ".join(field.name for field in fields(Identity))
        raise TopologyError(f"{where}.identity: {value!r}: expected numbers for {keys}") from None


def _read_channel(item: Any, where: str) -> Channel:
    try:
        return Channel(
            int(item["index"]),
            int(item["subindex"]),
            SignalId[item["signal"]],
            int(item.get("element", 0)),
            float(item.get("unit_per_count", 1.0)),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise TopologyError(
            f"{where}.channels: {item}: needs index, subindex, signal (one of "
            f"{', '.join(SignalId.__members__)}); {error!r}"
        ) from None
