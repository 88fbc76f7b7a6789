"""What becomes of the web's end and of the stack: cut, tape, unload, thread."""

from typing import Any

from numba import njit

from drivers.image import AxisId
from hal_sim.judge.truth import record_unloading
from hal_sim.layout import WebEnd
from hal_sim.plant.web import catch_web, thread_web

_X, _Z = int(AxisId.TABLE_X), int(AxisId.TABLE_Z)
_CUT, _TAPE = int(AxisId.CUT), int(AxisId.TAPE)
_END_THREADED, _END_CUT = int(WebEnd.THREADED), int(WebEnd.CUT)
_TURN = 6.283185307179586
_BLADE_AWAY_M = 0.001
_NEAR_M = 0.001


@njit(cache=True, nogil=True, error_model="numpy")
def _unload(plant: Any, station: Any) -> None:
    """The conveyor takes the stack, whole or not."""
    if station.judge.layer_count:
        record_unloading(plant, station)
    station.stack_count = 0
    station.taped = 0
    station.hipot_bad = 0


@njit(cache=True, nogil=True, error_model="numpy")
def step_cell(plant: Any, station: Any) -> None:
    """Once a period: where the cutter, the tape and the table's height leave web and stack."""
    web = station.web
    blade = station.axes[_CUT].position_m
    if web.end == _END_THREADED:
        station.judge.wraps = web.wrapped_rad / _TURN
    if web.end != _END_CUT and blade > plant.cut_m:
        catch_web(station)
    if web.end == _END_THREADED:
        return
    if station.stack_count and station.axes[_TAPE].position_m > 0.98 * plant.tape_m:
        station.taped = 1
    if abs(station.axes[_Z].position_m - plant.unload_m) <= _NEAR_M:
        _unload(plant, station)
    at_end = abs(station.load_m - plant.table_end_m) < _NEAR_M
    waiting = web.end == _END_CUT and blade < _BLADE_AWAY_M
    if waiting and station.stack_count == 0 and at_end:
        thread_web(plant, station)
