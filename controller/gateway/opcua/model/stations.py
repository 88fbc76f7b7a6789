"""Stations: axes, web, vision, grippers, magazines and the cell in work, from the status record's tables."""

from collections.abc import Callable
from typing import Any

from asyncua import ua

from controller.gateway.opcua.model.model import (
    METRE,
    METRE_PER_SECOND,
    NEWTON,
    NEWTON_METRE,
    PASCAL,
    RADIAN,
    RADIAN_PER_SECOND,
    SECOND,
    Kind,
    Model,
    Unit,
)
from controller.gateway.snapshot import Snapshot
from controller.settings.machine import StationSettings
from controller.shared.conditions import INTERLOCKS, ConditionId
from controller.shared.plan import RoutineId, SectionId
from controller.shared.status import AXIS_STATUS_DTYPE
from drivers.cia402 import PowerState
from drivers.image import AXIS_KIND, ROTARY_KINDS, AxisId, GripperId, Polarity

UNCERTAIN_STALE = ua.StatusCodes.UncertainLastUsableValue
UNCERTAIN_UNHOMED = ua.StatusCodes.UncertainSensorNotAccurate
POSE_M, POSE_RAD = (-0.005, 0.005), (-0.05, 0.05)
Path = tuple[str, ...]


class Station:
    """One station's folder."""

    def __init__(self, model: Model, stations: ua.NodeId, index: int, power: ua.NodeId) -> None:
        self.model = model
        self.index = index
        self.settings: StationSettings = model.settings.stations[index]
        self.path: Path = ("Stations", self.settings.name)
        self.node = model.space.add_object(
            stations,
            model.text(*self.path),
            self.settings.name,
            ua.NodeId(ua.ObjectIds.BaseObjectType),
        )
        self._power = power
        self._axes()
        self._web()
        self._vision()
        self._grippers()
        self._cell()

    # -- readers --------------------------------------------------------------------------------

    def _field(self, name: str, at: int | None = None) -> Callable[[Snapshot], Any]:
        index = self.index
        if at is None:
            return lambda s: s.stations[index][name].item()
        return lambda s: s.stations[index][name][at].item()

    def _lacks(self, condition: ConditionId, status: int) -> Callable[[Snapshot], int]:
        index = self.index
        return lambda s: 0 if s.stations[index]["conditions"][condition] else status

    def _analog(
        self,
        parent: ua.NodeId,
        path: Path,
        unit: Unit,
        limits: tuple[float, float],
        read: Any,
        **more: Any,
    ) -> None:
        self.model.analog(parent, (*self.path, *path), unit, limits, read, self.index, **more)

    def _plain(self, parent: ua.NodeId, path: Path, kind: Kind, read: Any, **more: Any) -> None:
        self.model.variable(parent, (*self.path, *path), kind, read, self.index, **more)

    # -- parts ----------------------------------------------------------------------------------

    def _axes(self) -> None:
        folder = self.model.folder(self.node, *self.path, "Axes")
        for axis in AxisId:
            self._axis(folder, axis)

    def _axis(self, folder: ua.NodeId, axis: AxisId) -> None:
        values = self.settings.axes.of_kind(AXIS_KIND[axis]).values
        rotary = AXIS_KIND[axis] in ROTARY_KINDS
        units = (
            (RADIAN, RADIAN_PER_SECOND, NEWTON_METRE)
            if rotary
            else (METRE, METRE_PER_SECOND, NEWTON)
        )
        node = self.model.space.add_object(
            folder,
            self.model.text(*self.path, "Axes", axis.name),
            axis.name,
            ua.NodeId(ua.ObjectIds.BaseObjectType),
        )
        position = (values.position_min_m, values.position_max_m)
        error = (-values.following_error_max_m, values.following_error_max_m)
        columns = {
            "ActualPosition": ("actual_position_m", units[0], position),
            "ActualVelocity": ("actual_velocity_m_s", units[1], _both(values.velocity_max_m_s)),
            "ActualForce": ("actual_force_n", units[2], _both(values.force_peak_n)),
            "TargetPosition": ("target_position_m", units[0], position),
            "FollowingError": ("following_error_m", units[0], error),
        }
        for name, (field, unit, range_) in columns.items():
            unhomed = self._unhomed(axis) if name.endswith("Position") else None
            reader = self._axis_field(axis, field)
            self._analog(node, ("Axes", axis.name, name), unit, range_, reader, quality=unhomed)
        power = self._axis_field(axis, "power_state")
        self._plain(
            node, ("Axes", axis.name, "PowerState"), Kind.Int32, power, data_type=self._power
        )
        homed = self._axis_field(axis, "homed")
        self._plain(node, ("Axes", axis.name, "Homed"), Kind.Boolean, lambda s: bool(homed(s)))
        code = self._axis_field(axis, "error_code")
        self._plain(node, ("Axes", axis.name, "ErrorCode"), Kind.UInt16, code)

    def _axis_field(self, axis: AxisId, field: str) -> Callable[[Snapshot], Any]:
        index = self.index
        assert field in (AXIS_STATUS_DTYPE.names or ())
        return lambda s: s.stations[index]["axes"][axis][field].item()

    def _unhomed(self, axis: AxisId) -> Callable[[Snapshot], int]:
        homed = self._axis_field(axis, "homed")
        return lambda s: 0 if homed(s) else UNCERTAIN_UNHOMED

    def _web(self) -> None:
        folder = self.model.folder(self.node, *self.path, "Web")
        web = self.settings.web
        limit = web.dancer.limit_m
        fresh = self._lacks(ConditionId.READINGS_FRESH, UNCERTAIN_STALE)
        rows: tuple[tuple[str, Unit, tuple[float, float], str], ...] = (
            ("Tension", NEWTON, (0.0, 10.0), "tension_n"),
            ("DancerPosition", METRE, _both(limit), "dancer_position_m"),
            ("LoopLength", METRE, (0.0, 0.5), "loop_length_m"),
            ("RollRadius", METRE, (0.0, 0.3), "roll_radius_m"),
            ("RollLeft", METRE, (0.0, 20e3), "roll_left_m"),
            ("WebEdge", METRE, (-0.005, 0.005), "web_edge_m"),
            ("FeedTotal", METRE, (0.0, 1e9), "feed_total_m"),
        )
        for name, unit, range_, field in rows:
            self._analog(folder, ("Web", name), unit, range_, self._field(field), quality=fresh)

    def _vision(self) -> None:
        folder = self.model.folder(self.node, *self.path, "Vision")
        for polarity in Polarity:
            name = polarity.name.title()
            group = self.model.folder(folder, *self.path, "Vision", name)
            for what in ("pose", "correction"):
                for axis, unit, range_ in (
                    ("x_m", METRE, POSE_M), ("y_m", METRE, POSE_M), ("theta_rad", RADIAN, POSE_RAD),
                ):  # fmt: skip
                    label = f"{what.title()}{axis.split('_')[0].title()}"
                    reader = self._field(f"{what}_{axis}", polarity)
                    self._analog(group, ("Vision", name, label), unit, range_, reader)
        overlay = self.model.folder(folder, *self.path, "Vision", "Overlay")
        for label, unit, range_, field in (
            ("X", METRE, POSE_M, "overlay_x_m"),
            ("Y", METRE, POSE_M, "overlay_y_m"),
            ("Theta", RADIAN, POSE_RAD, "overlay_theta_rad"),
        ):
            self._analog(overlay, ("Vision", "Overlay", label), unit, range_, self._field(field))

    def _grippers(self) -> None:
        folder = self.model.folder(self.node, *self.path, "Grippers")
        for gripper in GripperId:
            path = ("Grippers", f"{gripper.name}_Vacuum")
            self._analog(folder, path, PASCAL, (0.0, 1e5), self._field("vacuum_pa", gripper))
        magazines = self.model.folder(self.node, *self.path, "Magazines")
        for polarity in Polarity:
            path = ("Magazines", f"{polarity.name.title()}Sheets")
            self._plain(magazines, path, Kind.Int32, self._field("magazine_sheets", polarity))

    def _cell(self) -> None:
        folder = self.model.folder(self.node, *self.path, "CellInWork")
        rows: tuple[tuple[str, Kind, Any], ...] = (
            ("Cell", Kind.Int64, self._field("cell")),
            ("Sheet", Kind.Int32, self._field("sheet")),
            ("Sheets", Kind.Int32, self._field("sheets")),
            ("Section", Kind.String, self._word("section", SectionId)),
            ("Routine", Kind.String, self._word("routine", RoutineId)),
            ("Step", Kind.Int32, self._field("step")),
            ("WaitsFor", Kind.String, self._gate),
            ("PlanIdentity", Kind.String, self._plan_identity),
        )
        for name, kind, read in rows:
            self._plain(folder, ("CellInWork", name), kind, read)
        time = ("CellInWork", "SecondsPerSheet")
        self._analog(folder, time, SECOND, (0.0, 10.0), self._field("seconds_per_sheet"))
        self._analog(
            folder, ("CellInWork", "MasterTime"), SECOND, (0.0, 10.0), self._field("master_s")
        )

    def _word(self, field: str, table: Any) -> Callable[[Snapshot], str]:
        read = self._field(field)

        def word(snapshot: Snapshot) -> str:
            value = read(snapshot)
            return table(value).name if value in list(table) else ""

        return word

    def _gate(self, snapshot: Snapshot) -> str:
        condition = int(snapshot.stations[self.index]["gate_condition"])
        return ConditionId(condition).name if condition else ""

    def _plan_identity(self, snapshot: Snapshot) -> str:
        return snapshot.stations[self.index]["plan_identity"].tobytes().hex()


def build_stations(model: Model) -> list[Station]:
    """Add the Stations folder with every station."""
    power = model.enumeration("PowerState", ((each.value, each.name) for each in PowerState))
    folder = model.folder(model.machine, "Stations")
    return [Station(model, folder, index, power) for index in range(len(model.settings.stations))]


def build_start_inhibits(model: Model) -> None:
    """Add what keeps the machine from starting: condition, cause and remedy, row by row."""
    folder = model.folder(model.machine, "StartInhibits")
    columns: dict[str, Callable[[Any], str]] = {
        "Conditions": lambda row: row.condition.name,
        "Causes": lambda row: row.cause,
        "Remedies": lambda row: row.remedy,
    }
    for name, word in columns.items():
        model.variable(
            folder, ("StartInhibits", name), Kind.String, _inhibit_reader(word), is_array=True
        )
    count = ("StartInhibits", "Count")
    model.variable(folder, count, Kind.Int32, lambda s: len(inhibits(s)))


def inhibits(snapshot: Snapshot) -> list[Any]:
    """Return the interlock rows that inhibit a start now."""
    bits = int(snapshot.machine["start_inhibits"])
    return [row for row in INTERLOCKS if row.inhibits_start and bits >> row.condition & 1]


def _inhibit_reader(word: Callable[[Any], str]) -> Callable[[Snapshot], list[str]]:
    return lambda snapshot: [word(row) for row in inhibits(snapshot)]


def _both(limit: float) -> tuple[float, float]:
    return -limit, limit
