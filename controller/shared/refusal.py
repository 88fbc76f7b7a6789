"""Why the machine refused a command, in words: what, its value, the limit and what to do."""

from dataclasses import dataclass
from typing import Any

from controller.shared.commands import OVERRIDE_MIN, CommandCode, CommandResult
from controller.shared.conditions import INTERLOCKS
from controller.shared.jog import GUARD_TEXTS, Guard
from controller.shared.packml import MODE_CHANGE_STATES, TRANSITIONS, Command, Mode, State
from controller.shared.view import SharedView
from drivers.image import AxisId

_BY_HAND = "single axes are moved in STOPPED and IDLE, one at a time"
_NEEDS_STATE = {
    CommandCode.SET_MODE: "the mode changes where nothing moves, in "
    + ", ".join(sorted(state.name for state in MODE_CHANGE_STATES)),
    CommandCode.JOG: _BY_HAND,
    CommandCode.JOG_STEP: _BY_HAND,
    CommandCode.STEP: "there are steps after a start",
    CommandCode.IDENTIFY: "it begins in IDLE with nothing moved by hand; stop and reset lead there",
}
_AXES = (0, len(AxisId) - 1, "an axis")
# First, last and meaning of a command's index.
_INDICES = {
    CommandCode.SET_OFFSET_TRIM: (0, 2, "0 is x, 1 y, 2 theta"),
    CommandCode.JOG: _AXES,
    CommandCode.JOG_STEP: _AXES,
    CommandCode.SCOPE: (-1, len(AxisId) - 1, "an axis, -1 for none"),
}


@dataclass(frozen=True)
class Asked:
    """A command as it was given."""

    code: CommandCode
    station: int = 0
    index: int = 0
    value: float = 0.0


def refusal(view: SharedView, asked: Asked, result: CommandResult) -> str:
    """Return the reason of a refusal, from a snapshot that is younger than the answer."""
    reasons = {
        CommandResult.REFUSED_STATE: _state_reason,
        CommandResult.REFUSED_MODE: _mode_reason,
        CommandResult.REFUSED_INHIBITED: _inhibits,
        CommandResult.REFUSED_INTERLOCK: _guard,
    }
    machine = view.read_machine()
    if result == CommandResult.REFUSED_VALUE:
        return _value_reason(view, asked)
    if machine is None or result not in reasons:
        return result.name.lower().replace("_", " ")
    return reasons[result](machine, asked.code)


def _guard(machine: Any, _: CommandCode) -> str:
    return GUARD_TEXTS[Guard(int(machine["last_guard"]))]


def _inhibits(machine: Any, _: CommandCode) -> str:
    bits = int(machine["start_inhibits"])
    rows = [row for row in INTERLOCKS if row.inhibits_start and bits >> row.condition & 1]
    return "; ".join(f"{row.cause}: {row.remedy}" for row in rows)


def _mode_reason(machine: Any, code: CommandCode) -> str:
    mode = Mode(int(machine["mode"]))
    if code == CommandCode.START and mode == Mode.PRODUCTION:
        return "the plan is a cycle without material: set_mode 2 (MAINTENANCE) or 3 (MANUAL)"
    if code == CommandCode.START:
        return f"in {mode.name} only cycles without material run: set_mode 1 (PRODUCTION)"
    return f"not in {mode.name}: set_mode 3 (MANUAL)"


def _state_reason(machine: Any, code: CommandCode) -> str:
    state = State(int(machine["state"]))
    if code in _NEEDS_STATE:
        return f"not now, in {state.name}: {_NEEDS_STATE[code]}"
    offered = [
        command.name.lower()
        for command in Command
        if command != Command.STATE_COMPLETE and (state, command) in TRANSITIONS
    ]
    return f"not in {state.name}: from there lead {', '.join(offered)}"


def _value_reason(view: SharedView, asked: Asked) -> str:
    place = f"station {asked.station + 1}"
    if not 0 <= asked.station < view.station_count:
        return f"{place}: the machine has {view.station_count}"
    first, last, meaning = _INDICES.get(asked.code, (asked.index, asked.index, ""))
    if not first <= asked.index <= last:
        return f"{place}, index = {asked.index}: outside {first} to {last}; {meaning}"
    low, high, unit, remedy = _bounds(view, asked)
    return f"{place}, value = {asked.value:g}{unit}: outside {low:g} to {high:g}{unit}; {remedy}"


def _bounds(view: SharedView, asked: Asked) -> tuple[float, float, str, str]:
    """Lowest, highest, unit and remedy of a command's value."""
    plan, code = view.read_plan(asked.station), asked.code
    if code == CommandCode.SET_SPEED_OVERRIDE:
        return OVERRIDE_MIN, 1.0, "", "1 is full speed"
    if code == CommandCode.SET_MODE:
        return 1.0, 3.0, "", ", ".join(f"{mode.value} is {mode.name}" for mode in Mode)
    if code == CommandCode.SET_CELLS:
        return 0.0, 1e9, "", "0 is without end"
    if plan is None:
        return 0.0, 0.0, "", "there is no plan yet"
    if code == CommandCode.SET_TENSION_TRIM:
        most_n = float(plan["web"]["tension_warning_n"])
        return -most_n, most_n, " N", "more is another recipe's tension_n"
    if code == CommandCode.SET_OFFSET_TRIM:
        return _offset_bounds(plan["alignment"], asked.index)
    return _jog_bounds(view, plan, asked)


def _offset_bounds(alignment: Any, index: int) -> tuple[float, float, str, str]:
    unit = "rad" if index == 2 else "m"
    most = 0.5 * float(alignment[f"stage_range_{unit}"])
    remedy = "half the stage's range is for the sheets; mend the camera's or magazine's place"
    return -most, most, f" {unit}", remedy


def _jog_bounds(view: SharedView, plan: Any, asked: Asked) -> tuple[float, float, str, str]:
    """A jog's velocity, or how far a step may go from where the axis stands."""
    axis, name = plan["axes"][asked.index], AxisId(asked.index).name.lower()
    if asked.code == CommandCode.JOG:
        most = float(plan["jog_share"] * axis["velocity_max_m_s"])
        return -most, most, "", f"{name} is jogged no faster, and not by 0"
    status = view.read_station(asked.station)
    here = 0.0 if status is None else float(status["axes"][asked.index]["actual_position_m"])
    low, high = float(axis["position_min_m"]) - here, float(axis["position_max_m"]) - here
    return low, high, "", f"{name} stands at {here:.4g}, and its soft limits end there"
