"""The sheets' way: magazine, fetching gripper, stage, placing gripper, stack; and the vacuum between.

A pose is (x m, y m, theta rad) against nominal, in machine axes. Scatter that no controller can know of
is kept with the sheet, so that the judge can tell it from what control left.
"""

from typing import Any

import numpy as np
from numba import njit

from drivers.image import AxisId
from hal_sim.judge.layout import Rule
from hal_sim.judge.truth import count_violation, record_layer
from hal_sim.layout import Place
from hal_sim.mathematics import cosine, exponential, sine
from hal_sim.noise import Stream, draw_lognormal, draw_normal, draw_uniform

_AIR, _STACK, _STAGE = int(Place.AIR), int(Place.STACK), int(Place.STAGE)
_MAGAZINE, _BIN = int(Place.MAGAZINE), int(Place.BIN)
_ARM_X, _STAGE_X = int(AxisId.ANODE_ARM_X), int(AxisId.ANODE_STAGE_X)
_PICK, _EVENT = int(Stream.ANODE_PICK), int(Stream.ANODE_EVENT)
_VACUUM, _PLACE = int(Stream.VACUUM), int(Stream.ANODE_PLACE)
_DROPPED, _UNCORRECTED = int(Rule.SHEET_DROPPED), int(Rule.UNCORRECTED_SHEET)
_LOG_MADE = 1.0986122886681098  # exponential rise to 2/3 of its end
_LOG_RELEASED = 2.4849066497880004  # and fall to 1/12
_FLUTTER_S = 0.1


@njit(cache=True, nogil=True, error_model="numpy")
def _copy_sheet(target: Any, source: Any) -> None:
    """Hand a sheet over; the source is empty afterwards."""
    target.identity = source.identity
    for axis in range(3):
        target.pose[axis] = source.pose[axis]
    for edge in range(4):
        target.cut_m[edge] = source.cut_m[edge]
    for axis in range(2):
        target.scatter_m[axis] = source.scatter_m[axis]
        target.camera_m[axis] = source.camera_m[axis]
    target.scatter_rad = source.scatter_rad
    target.camera_rad = source.camera_rad
    target.count = source.count
    target.measured = source.measured
    target.uncorrected = source.uncorrected
    source.count = 0


@njit(cache=True, nogil=True, error_model="numpy")
def place_of(plant: Any, station: Any, gripper: int) -> int:
    """What a gripper touches, by where its arm stands."""
    arm = gripper // 2
    x = station.axes[_ARM_X + 2 * arm].position_m
    z = station.axes[_ARM_X + 2 * arm + 1].position_m
    if z > plant.arm_up_m - 0.005 and abs(x + 0.5 * plant.transfer_m) < 0.005:
        return _BIN
    if z > plant.contact_m:
        return _AIR
    fetching = gripper % 2 == 1
    if abs(x) <= plant.reach_m:
        end = plant.table_end_m if arm == 1 else -plant.table_end_m
        if fetching:
            return _STAGE
        return _STACK if abs(station.load_m - end) < 0.02 else _AIR
    if abs(x + plant.transfer_m) <= plant.reach_m:
        return _MAGAZINE if fetching else _STAGE
    return _AIR


@njit(cache=True, nogil=True, error_model="numpy")
def _stage_rotation(station: Any, polarity: int) -> tuple[float, float, float, float, float]:
    """Where a stage stands: (x, y, theta, cosine, sine)."""
    first = _STAGE_X + 3 * polarity
    theta = station.axes[first + 2].position_m
    x, y = station.axes[first].position_m, station.axes[first + 1].position_m
    return x, y, theta, cosine(theta), sine(theta)


@njit(cache=True, nogil=True, error_model="numpy")
def staged_pose(station: Any, polarity: int) -> tuple[float, float, float]:
    """The staged sheet in machine axes: R(phi) p + t, theta + phi."""
    pose = station.feeders[polarity].staged.pose
    x, y, theta, c, s = _stage_rotation(station, polarity)
    return c * pose[0] - s * pose[1] + x, s * pose[0] + c * pose[1] + y, pose[2] + theta


@njit(cache=True, nogil=True, error_model="numpy")
def _arm_offset(plant: Any, station: Any, arm: int, back: bool) -> float:
    """How far an arm stands from where it should, in machine x; both come forward to x = 0."""
    nominal = -plant.transfer_m if back else 0.0
    away = station.axes[_ARM_X + 2 * arm].position_m - nominal
    return away if arm == 0 else -away


@njit(cache=True, nogil=True, error_model="numpy")
def _draw_sheet(plant: Any, station: Any, polarity: int, sheet: Any) -> None:
    """Take the magazine's top sheet: its scatter, its cut, whether it is a double."""
    feeder, streams = station.feeders[polarity], station.streams
    feeder.sheets_drawn += 1
    sheet.identity = feeder.sheets_drawn
    for axis in range(2):
        scatter = plant.pick_m * draw_normal(streams, _PICK + polarity)
        sheet.pose[axis] = feeder.drift[axis] + scatter
        sheet.scatter_m[axis] = 0.0
        sheet.camera_m[axis] = 0.0
    sheet.pose[2] = feeder.drift[2] + plant.pick_rad * draw_normal(streams, _PICK + polarity)
    sheet.scatter_rad = 0.0
    sheet.camera_rad = 0.0
    for edge in range(4):
        sheet.cut_m[edge] = plant.cut_scatter_m * draw_normal(streams, _PICK + polarity)
    double = draw_uniform(streams, _EVENT + polarity) < plant.double_share
    sheet.count = 2 if double or feeder.double_next else 1
    feeder.double_next = 0
    sheet.measured = 0
    sheet.uncorrected = 0
    feeder.magazine -= min(sheet.count, feeder.magazine)


@njit(cache=True, nogil=True, error_model="numpy")
def _pick_from_stage(plant: Any, station: Any, polarity: int, sheet: Any) -> None:
    """The placing gripper takes the staged sheet, at rest; rule 9 asks how once it is laid."""
    feeder, limits = station.feeders[polarity], plant.judge
    x, y, theta = staged_pose(station, polarity)
    first = _STAGE_X + 3 * polarity
    speed = 0.0
    reach = plant.sheet_half_width_m[polarity]  # a turn moves the sheet's ends by so much a radian
    for axis in range(3):
        lever = reach if axis == 2 else 1.0
        speed = max(speed, lever * abs(station.axes[first + axis].velocity_m_s))
    off = max(abs(x + feeder.staged.camera_m[0]), abs(y + feeder.staged.camera_m[1]))
    if speed > limits.pick_velocity_m_s:
        count_violation(station, _UNCORRECTED, 2 * polarity, speed)
    uncorrected = not feeder.staged.measured or off > limits.correction_m
    _copy_sheet(sheet, feeder.staged)
    sheet.uncorrected = np.uint8(uncorrected or feeder.camera.pending == 1)
    stream = _PLACE + polarity
    error_x = plant.correction_m * draw_normal(station.streams, stream)
    error_y = plant.correction_m * draw_normal(station.streams, stream)
    sheet.scatter_m[0] += error_x
    sheet.scatter_m[1] += error_y
    sheet.pose[0] = x + error_x - _arm_offset(plant, station, polarity, True)
    sheet.pose[1] = y + error_y
    sheet.pose[2] = theta


@njit(cache=True, nogil=True, error_model="numpy")
def _pick(plant: Any, station: Any, gripper: int) -> None:
    """Vacuum is made on a sheet: it hangs on the gripper from now on."""
    polarity = gripper // 2
    row = station.grippers[gripper]
    row.flagged = 0
    if row.place == _STAGE:
        _pick_from_stage(plant, station, polarity, row.sheet)
    else:
        _draw_sheet(plant, station, polarity, row.sheet)
        row.sheet.pose[0] -= _arm_offset(plant, station, polarity, True)


@njit(cache=True, nogil=True, error_model="numpy")
def _lay_on_stage(plant: Any, station: Any, gripper: int) -> None:
    """The fetching gripper lets go over the stage: the pose now rides on the stage."""
    polarity = gripper // 2
    staged, sheet = station.feeders[polarity].staged, station.grippers[gripper].sheet
    if staged.count:
        count_violation(station, _DROPPED, gripper, 1.0)
    _copy_sheet(staged, sheet)
    x, y, theta, c, s = _stage_rotation(station, polarity)
    dx = staged.pose[0] + _arm_offset(plant, station, polarity, False) - x
    dy = staged.pose[1] - y
    staged.pose[0] = c * dx + s * dy
    staged.pose[1] = c * dy - s * dx
    staged.pose[2] -= theta


@njit(cache=True, nogil=True, error_model="numpy")
def _scatter_placement(plant: Any, station: Any, polarity: int, sheet: Any, curl: float) -> None:
    """What release, web drag and the table add at the last moment."""
    stream = _PLACE + polarity
    streams = station.streams
    for axis in range(2):
        error = plant.table_m * draw_normal(streams, stream)
        error += (plant.release_m + curl) * draw_normal(streams, stream)
        error += plant.drag_m * draw_normal(streams, stream)
        sheet.pose[axis] += error
        sheet.scatter_m[axis] += error
    turn = plant.release_rad * draw_normal(streams, stream)
    turn += plant.drag_rad * draw_normal(streams, stream)
    sheet.pose[2] += turn
    sheet.scatter_rad += turn


@njit(cache=True, nogil=True, error_model="numpy")
def _lay_on_stack(plant: Any, station: Any, gripper: int) -> None:
    """The placing gripper lets go: the sheet lies on the stack where arm and load have brought it."""
    polarity = gripper // 2
    sheet, feeder = station.grippers[gripper].sheet, station.feeders[polarity]
    if sheet.uncorrected:
        count_violation(station, _UNCORRECTED, 2 * polarity, abs(sheet.pose[0]))
    end = plant.table_end_m if polarity == 1 else -plant.table_end_m
    warm = np.float64(station.judge.now_ns) * 1e-9 / plant.thermal_time_s
    warm = plant.thermal_m * (1.0 - exponential(-min(warm, 20.0)))
    sheet.pose[0] += _arm_offset(plant, station, polarity, False) + end - station.load_m
    sheet.pose[0] += feeder.calibration_m[0] + (warm if polarity == 0 else -warm)
    sheet.pose[1] += feeder.calibration_m[1] + warm
    _scatter_placement(plant, station, polarity, sheet, plant.curl_s * feeder.flutter_m_s)
    record_layer(plant, station, polarity, sheet)
    for axis in range(2):
        first, second = sheet.cut_m[2 * axis], sheet.cut_m[2 * axis + 1]
        station.stack_top_pose[axis] = sheet.pose[axis] + 0.5 * (second - first)
    station.stack_top_pose[2] = sheet.pose[2]
    station.stack_count += 1
    sheet.count = 0


@njit(cache=True, nogil=True, error_model="numpy")
def drop_sheet(station: Any, gripper: int, value: float) -> None:
    """A sheet falls where it must not; told once a sheet."""
    row = station.grippers[gripper]
    if not (row.flagged or row.lost or station.air_low):
        count_violation(station, _DROPPED, gripper, value)
    row.flagged = 1
    row.sheet.count = 0
    station.judge.dropped += 1


@njit(cache=True, nogil=True, error_model="numpy")
def _let_go(plant: Any, station: Any, gripper: int) -> None:
    """The vacuum no longer holds: where the sheet ends up depends on what is beneath."""
    row = station.grippers[gripper]
    if row.place == _STACK:
        _lay_on_stack(plant, station, gripper)
    elif row.place == _STAGE and gripper % 2 == 1:
        _lay_on_stage(plant, station, gripper)
    elif row.place == _STAGE:
        feeder = station.feeders[gripper // 2]
        _copy_sheet(feeder.staged, row.sheet)
        feeder.staged.measured = 0
    elif row.place == _MAGAZINE:
        station.feeders[gripper // 2].magazine += row.sheet.count
        row.sheet.count = 0
    elif row.place == _BIN:
        station.judge.discarded += row.sheet.count
        row.sheet.count = 0
    else:
        drop_sheet(station, gripper, row.pressure_pa)


@njit(cache=True, nogil=True, error_model="numpy")
def command_vacuum(plant: Any, station: Any, gripper: int, on: int) -> None:
    """Take the valve's command: each switching draws how long it will take."""
    row = station.grippers[gripper]
    if on == row.on:
        return
    row.on = on
    mean = plant.vacuum_on_s if on else plant.vacuum_off_s
    spread = plant.vacuum_sigma_s / mean
    time = draw_lognormal(station.streams, _VACUUM + gripper, mean, spread)
    if not on:
        time *= 1.0 + station.release_slow[gripper]
        station.release_slow[gripper] = 0.0
        early = row.sheet.count > 0 and (row.place == _AIR)
        if early and not row.flagged:
            count_violation(station, _DROPPED, gripper, row.pressure_pa)
            row.flagged = 1
    row.rate_1_s = (_LOG_MADE if on else _LOG_RELEASED) / time
    row.at_magazine = 0
    row.lost = 0


@njit(cache=True, nogil=True, error_model="numpy")
def _reach_for_sheet(plant: Any, station: Any, gripper: int) -> bool:
    """Whether a sheet seals an empty gripper; each new touch of the magazine may miss."""
    row, feeder = station.grippers[gripper], station.feeders[gripper // 2]
    if row.place == _STAGE:
        return feeder.staged.count > 0
    if row.place != _MAGAZINE:
        row.at_magazine = 0
        return False
    if not row.at_magazine and row.on:
        row.at_magazine = 1
        missed = draw_uniform(station.streams, _EVENT + gripper // 2) < plant.miss_share
        row.missed = missed or feeder.miss_next > 0
        feeder.miss_next -= 1 if feeder.miss_next else 0
    return feeder.magazine > 0 and not feeder.magazine_blocked and not row.missed


@njit(cache=True, nogil=True, error_model="numpy")
def step_gripper(plant: Any, station: Any, gripper: int, step: float) -> None:
    """One step of a gripper: vacuum, picking and letting go."""
    row = station.grippers[gripper]
    row.place = place_of(plant, station, gripper)
    holding = row.sheet.count > 0
    if not row.on and not holding and row.pressure_pa < 1.0:
        return
    sealed = holding or (row.on and _reach_for_sheet(plant, station, gripper))
    aim = 0.0
    if row.on and not row.lost and not station.air_low:
        aim = plant.vacuum_level_pa if sealed else plant.vacuum_leak_pa
    row.pressure_pa += (aim - row.pressure_pa) * row.rate_1_s * step
    if holding:
        failed = row.pressure_pa < (0.5 * plant.vacuum_made_pa if row.on else 0.0)
        if failed or row.pressure_pa < plant.vacuum_released_pa:
            _let_go(plant, station, gripper)
    elif sealed and row.pressure_pa > plant.vacuum_made_pa:
        _pick(plant, station, gripper)


@njit(cache=True, nogil=True, error_model="numpy")
def begin_sheets_cycle(plant: Any, station: Any, polarity: int, period: float) -> None:
    """Once a period: drift of the pick, refill of the magazine, flutter after a fast move."""
    feeder = station.feeders[polarity]
    for axis in range(2):
        feeder.drift[axis] += feeder.drift_rate[axis] * period
    if feeder.magazine < plant.magazine_refill:
        feeder.magazine = plant.magazine_sheets
    speed = abs(station.axes[_ARM_X + 2 * polarity].velocity_m_s)
    feeder.flutter_m_s = max(speed, feeder.flutter_m_s * (1.0 - period / _FLUTTER_S))
