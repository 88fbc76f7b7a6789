"""What becomes of the web's end and of the stack: changer, cut, wrap, tape, unload, thread.

The changer is a turret with two tables, "plates". The X carriage, Z and the fingers serve the plate that
stands under the arms. Half a turn takes a finished stack to the wrapping place, and with it the web, until
the empty plate's clamp has it. The wrapping head works where the finished stack is: at the wrapping place,
or on the table while nothing stands there.
"""

from typing import Any

from numba import njit

from drivers.image import AxisId
from hal_sim.judge.layout import Rule
from hal_sim.judge.truth import capture_cell, count_violation, record_unloading
from hal_sim.layout import WebEnd
from hal_sim.plant.web import catch_web, thread_web, trail_web

_X, _Z = int(AxisId.TABLE_X), int(AxisId.TABLE_Z)
_CUT, _TAPE, _WRAP = int(AxisId.CUT), int(AxisId.TAPE), int(AxisId.WRAP)
_CHANGER = int(AxisId.CHANGER)
_END_THREADED, _END_CUT = int(WebEnd.THREADED), int(WebEnd.CUT)
_END_TRAILING = int(WebEnd.TRAILING)
_COLLISION, _WEB = int(Rule.BEAMS_APART), int(Rule.WEB_TENSION)
_PI = 3.141592653589793
_TURN = 6.283185307179586
_BLADE_AWAY_M = 0.001
_NEAR_M = 0.001
_AT_END_RAD = 0.002
_LEAVES_RAD = 0.0005
_STANDS_RAD_S = 0.02


@njit(cache=True, nogil=True, error_model="numpy")
def changer_away(station: Any) -> float:
    """How far the changer is from where the plate under the arms has its place, rad."""
    return abs(station.axes[_CHANGER].position_m - _PI * station.plate)


@njit(cache=True, nogil=True, error_model="numpy")
def _unload(plant: Any, station: Any) -> None:
    """The conveyor takes the stack from the table, whole or not."""
    if station.judge.layer_count:
        judge = station.judge
        wraps = judge.wraps
        capture_cell(judge, judge.unloading)
        record_unloading(plant, judge, judge.unloading, wraps, station.taped, station.hipot_bad)
    station.stack_count = 0
    station.taped = 0
    station.hipot_bad = 0


@njit(cache=True, nogil=True, error_model="numpy")
def _leave_wrapping_place(plant: Any, station: Any) -> None:
    """The stack at the wrapping place is gone; no more could be wound on it than its tail had."""
    place = station.wrapping
    wound = min(place.wound_rad / _TURN, place.tail_m / (4.0 * plant.half_pitch_m))
    judge = station.judge
    record_unloading(plant, judge, judge.wrapping, wound, place.taped, place.hipot_bad)
    place.count = 0
    place.uncut = 0


@njit(cache=True, nogil=True, error_model="numpy")
def _swap_plates(plant: Any, station: Any) -> None:
    """The changer has turned past the middle: the stack on the table goes to the wrapping place."""
    place = station.wrapping
    if place.count:
        count_violation(station, _COLLISION, 7, place.count)
        _leave_wrapping_place(plant, station)
    if station.judge.layer_count:
        capture_cell(station.judge, station.judge.wrapping)
    place.count = station.stack_count
    place.taped = station.taped
    place.hipot_bad = station.hipot_bad
    place.wrap_start_rad = station.axes[_WRAP].position_m
    place.wound_rad = 0.0
    place.conveyed_s = 0.0
    place.tail_m = station.web.tail_m
    station.stack_count = 0
    station.taped = 0
    station.hipot_bad = 0
    station.stack_clamped = 0
    station.stack_clamp_s = 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _step_changer(plant: Any, station: Any, period: float) -> None:
    """Which plate stands under the arms, how long it has, and the web that trails to the other."""
    web, changer = station.web, station.axes[_CHANGER]
    plate = 1 if changer.position_m > 0.5 * _PI else 0
    if plate != station.plate:
        station.plate = plate
        _swap_plates(plant, station)
    away = changer_away(station)
    if web.end == _END_THREADED and away > _LEAVES_RAD:
        trail_web(station)
    if web.end == _END_TRAILING and station.wrapping.count:
        station.wrapping.tail_m = web.tail_m
    stands = away < _AT_END_RAD and abs(changer.velocity_m_s) < _STANDS_RAD_S
    station.plate_still_s = station.plate_still_s + period if stands else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _step_clamps(plant: Any, station: Any, stack_clamp: int, period: float) -> None:
    """The clamp of the plate under the arms closes over its stack; the empty plate's takes the web."""
    station.stack_clamp_s = station.stack_clamp_s + period if stack_clamp else 0.0
    station.stack_clamped = stack_clamp and station.stack_clamp_s >= plant.clamp_s
    web = station.web
    ready = web.end == _END_TRAILING and station.plate_still_s >= plant.clamp_s
    at_end = abs(station.load_m - plant.table_end_m) < _NEAR_M
    if ready and at_end and station.stack_count == 0:
        thread_web(plant, station)
        station.wrapping.uncut = 1


@njit(cache=True, nogil=True, error_model="numpy")
def _step_blade(plant: Any, station: Any) -> None:
    """The blade passes once a stroke: through the tail, or through the web that the cutter then holds."""
    web = station.web
    through = station.axes[_CUT].position_m > plant.cut_m
    if through and not web.cut_through:
        if station.wrapping.uncut and web.end == _END_THREADED:
            station.wrapping.uncut = 0
        elif web.end != _END_CUT:
            if web.end == _END_TRAILING and not station.judge.spoilt:
                count_violation(station, _WEB, 4, web.tail_m)
            catch_web(station)
    web.cut_through = through


@njit(cache=True, nogil=True, error_model="numpy")
def _step_wrapping_place(plant: Any, station: Any, conveyor: int, period: float) -> None:
    """The head winds the tail and tapes it; the conveyor takes the stack from under a tape at home."""
    place, tape = station.wrapping, station.axes[_TAPE].position_m
    wrap = station.axes[_WRAP].position_m
    place.wrap_start_rad = min(place.wrap_start_rad, wrap)
    if not (place.taped or place.uncut):
        place.wound_rad = max(place.wound_rad, wrap - place.wrap_start_rad)
    if tape > 0.98 * plant.tape_m:
        place.taped = 1
    place.conveyed_s = place.conveyed_s + period if conveyor and tape < _NEAR_M else 0.0
    if place.conveyed_s > plant.conveyor_s:
        _leave_wrapping_place(plant, station)


@njit(cache=True, nogil=True, error_model="numpy")
def _step_table(plant: Any, station: Any) -> None:
    """With the web cut off: tape, unloading by the table's height, and the end clamped anew."""
    if station.wrapping.count == 0 and station.stack_count:
        if station.axes[_TAPE].position_m > 0.98 * plant.tape_m:
            station.taped = 1
    if abs(station.axes[_Z].position_m - plant.unload_m) <= _NEAR_M:
        _unload(plant, station)
    at_end = abs(station.load_m - plant.table_end_m) < _NEAR_M
    blade_away = station.axes[_CUT].position_m < _BLADE_AWAY_M
    waiting = station.web.end == _END_CUT and blade_away and station.plate_still_s > 0.0
    if waiting and station.stack_count == 0 and at_end:
        thread_web(plant, station)


@njit(cache=True, nogil=True, error_model="numpy")
def step_cell(plant: Any, station: Any, outputs: Any, period: float) -> None:
    """Once a period: where changer, cutter, wrap, tape and the table's height leave web and stack."""
    _step_changer(plant, station, period)
    _step_clamps(plant, station, outputs.stack_clamp, period)
    if station.web.end == _END_THREADED:
        station.judge.wraps = station.web.wrapped_rad / _TURN
    _step_blade(plant, station)
    if station.wrapping.count:
        _step_wrapping_place(plant, station, outputs.conveyor, period)
    if station.web.end != _END_THREADED:
        _step_table(plant, station)
