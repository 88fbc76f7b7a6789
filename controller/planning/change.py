"""How long a change of cells takes: the routines' steps laid out in time, beside what sheets take."""

from collections.abc import Sequence
from dataclasses import dataclass

from controller.planning.profiles import fastest_move, limits_of, time_to_cover
from controller.planning.routines import PI, Step, routines
from controller.settings.machine import StationSettings
from controller.settings.recipe import RecipeSettings
from controller.shared.conditions import ConditionId
from controller.shared.plan import Action, RoutineId, StepKind
from drivers.image import AXIS_KIND, AxisId

STEP_S = 0.001  # a cycle goes by before the end of a move or a condition is seen
CLEAR_RESERVE_M = 0.001
START_WRAP_HALVES = 2
_RELEASES = (ConditionId.ANODE_RELEASED, ConditionId.CATHODE_RELEASED)
_SHOVES = tuple(axis for axis in AxisId if axis.name.startswith("FINGER_LEFT"))


@dataclass(frozen=True)
class Span:
    """What an axis, or a place that is waited for, is busy with; seconds from the last touch-down."""

    routine: RoutineId
    what: str
    start_s: float
    length_s: float


@dataclass(frozen=True)
class CellChange:
    """A change of cells: how long it takes beyond the cells' sheets, and what moves when."""

    seconds: float
    first_half_s: float  # the next cell's start wrap begins
    spans: tuple[Span, ...]


class _Clock:
    """The station's axes while routines run: where each is, and until when it moves."""

    def __init__(self, station: StationSettings, recipe: RecipeSettings) -> None:
        self.station = station
        self.spans: list[Span] = []
        self.now_s = 0.0
        self.handed_over_s = 0.0
        self.until_s = dict.fromkeys(AxisId, 0.0)
        self.position_m = dict.fromkeys(AxisId, 0.0)
        self.position_m[AxisId.TABLE_X] = -0.5 * station.table.stroke_m
        self.position_m[AxisId.TABLE_Z] = -recipe.sheets * recipe.layer_thickness_m
        self.position_m[AxisId.CATHODE_ARM_X] = -station.arm.transfer_m
        for axis in _SHOVES:
            reach = axis.name.endswith("_IN")
            self.position_m[axis] = station.fingers.in_m if reach else station.fingers.down_m

    def move(self, routine: RoutineId, step: Step) -> None:
        axis = AxisId(step.axis or 0)
        target_m = PI - self.position_m[axis] if axis == AxisId.CHANGER else step.position_m
        values = self.station.axes.of_kind(AXIS_KIND[axis]).values
        way_m = abs(target_m - self.position_m[axis])
        seconds = 0.0
        if way_m > 0.0:
            limits = limits_of(values, values.move_speed)
            seconds = fastest_move(way_m, limits).length
            self._note(routine, axis.name, seconds)
        self.until_s[axis] = self.now_s + seconds
        self.position_m[axis] = target_m

    def _note(self, routine: RoutineId, name: str, seconds: float) -> None:
        what = name.lower().replace("_", " ")
        self.spans.append(Span(routine, what, self.now_s, seconds))

    def wait(self, condition: ConditionId) -> None:
        if condition == ConditionId.MOVES_DONE:
            self.now_s = max(self.now_s, *self.until_s.values())
        elif condition in _RELEASES:
            self.now_s = max(self.now_s, self.station.vacuum.off_time_s)
        elif condition == ConditionId.ARMS_CLEAR:
            arm, values = self.station.arm, self.station.axes.arm_z.values
            lift = fastest_move(arm.stroke_m, limits_of(values, values.move_speed))
            begun_s = self.until_s[AxisId.ANODE_ARM_Z] - lift.length
            clear_s = begun_s + time_to_cover(lift, arm.clearance_m + CLEAR_RESERVE_M)
            self.now_s = max(self.now_s, clear_s)

    def run(self, routine: RoutineId, steps: Sequence[Step]) -> None:
        group: list[Step] = []
        last_action = Action.NONE
        for step in steps:
            if step.kind == StepKind.MOVE:
                group.append(step)
                self.move(routine, step)
                continue
            self._end_group(group)
            if step.kind == StepKind.START:
                self.move(routine, step)
            elif step.kind == StepKind.ACTION:
                last_action = step.action
                if step.action == Action.HAND_OVER:
                    self.handed_over_s = self.now_s
            elif step.kind == StepKind.DWELL:
                self._note(routine, last_action.name, step.timeout_s)
                self.now_s += step.timeout_s
            elif step.kind == StepKind.WAIT:
                self.wait(step.condition)
                self.now_s += STEP_S
        self._end_group(group)

    def _end_group(self, group: list[Step]) -> None:
        if group:
            ends = [self.until_s[AxisId(step.axis or 0)] for step in group]
            self.now_s = max(self.now_s, *ends) + STEP_S
            group.clear()


def cell_change(station: StationSettings, recipe: RecipeSettings, period_s: float) -> CellChange:
    """A cell's end and the next one's start, from its last touch-down to the next one's first.

    period_s: of a half fold; the start wrap takes two. On two tables the wrapping place runs beside.
    """
    tables, clock = routines(station, recipe), _Clock(station, recipe)
    clock.run(RoutineId.FINISH, tables[RoutineId.FINISH])
    clock.run(RoutineId.LEAD_IN, tables[RoutineId.LEAD_IN])
    beside = _Clock(station, recipe)
    beside.now_s = clock.handed_over_s
    beside.run(RoutineId.WRAP_UP, tables[RoutineId.WRAP_UP])
    seconds = clock.now_s + START_WRAP_HALVES * period_s
    return CellChange(seconds, clock.now_s, (*clock.spans, *beside.spans))
