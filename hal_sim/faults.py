"""Faults: what goes wrong, when and where, as a schedule that a seed and a file replay.

A fault strikes at a plant time or when a station has laid a number of sheets, and lasts for its
duration; those that strike once (a missed pick, a double sheet) have none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from drivers.cia402 import ErrorCode
from drivers.image import AXIS_COUNT, STATIONS_MAX
from hal_sim.layout import CONTEXT_DTYPE, FAULTS_MAX, WebEnd
from hal_sim.noise import Stream, draw_uniform, seed_streams
from hal_sim.plant.drives import raise_drive_fault

_BROKEN = int(WebEnd.BROKEN)
_THREADED = int(WebEnd.THREADED)
_OVERCURRENT = int(ErrorCode.OVERCURRENT)


class FaultKind(IntEnum):
    """What can go wrong; what `index` and `magnitude` mean for each."""

    PICK_MISS = 0  # index: polarity; magnitude: how many in a row
    DOUBLE_SHEET = 1  # index: polarity
    VACUUM_LOSS = 2  # index: gripper
    RELEASE_SLOW = 3  # index: gripper; magnitude: added share of the time
    CAMERA_LATE = 4  # index: camera (0, 1 sheet; 2 stack); magnitude: added seconds
    CAMERA_SILENT = 5  # index: camera; for its duration
    CAMERA_FAILED = 6  # index: camera; for its duration
    CAMERA_OUTLIER = 7  # index: camera; magnitude: metres
    DRIVE_FAULT = 8  # index: axis; magnitude: error code, 0 for overcurrent
    EMERGENCY_STOP = 9  # for its duration
    DOOR_OPEN = 10
    AIR_LOW = 11
    WEB_BREAK = 12
    SPLICE = 13
    ROLL_END = 14  # magnitude: metres left
    TENSION_FROZEN = 15
    MAGAZINE_EMPTY = 16  # index: polarity; for its duration
    HIPOT_BAD = 17  # the cell on the table
    HOMING_JAMMED = 18  # index: axis; for its duration
    WEB_SLACK = 19  # magnitude: metres of web fed too much at once


class FaultState(IntEnum):
    """How far a fault has come."""

    WAITING = 0
    ACTIVE = 1
    OVER = 2


_WAITING, _ACTIVE, _OVER = int(FaultState.WAITING), int(FaultState.ACTIVE), int(FaultState.OVER)
_K = FaultKind
_PICK_MISS, _DOUBLE, _LOSS = int(_K.PICK_MISS), int(_K.DOUBLE_SHEET), int(_K.VACUUM_LOSS)
_SLOW, _LATE, _SILENT = int(_K.RELEASE_SLOW), int(_K.CAMERA_LATE), int(_K.CAMERA_SILENT)
_FAILED, _OUTLIER = int(_K.CAMERA_FAILED), int(_K.CAMERA_OUTLIER)
_DRIVE, _STOP, _DOOR = int(_K.DRIVE_FAULT), int(_K.EMERGENCY_STOP), int(_K.DOOR_OPEN)
_AIR, _BREAK, _SPLICE = int(_K.AIR_LOW), int(_K.WEB_BREAK), int(_K.SPLICE)
_ROLL, _FROZEN, _EMPTY = int(_K.ROLL_END), int(_K.TENSION_FROZEN), int(_K.MAGAZINE_EMPTY)
_HIPOT, _JAM, _SLACK = int(_K.HIPOT_BAD), int(_K.HOMING_JAMMED), int(_K.WEB_SLACK)

# How many things of its kind a fault's index may name.
_INDICES = {
    _K.PICK_MISS: 2, _K.DOUBLE_SHEET: 2, _K.MAGAZINE_EMPTY: 2,
    _K.VACUUM_LOSS: 4, _K.RELEASE_SLOW: 4,
    _K.CAMERA_LATE: 3, _K.CAMERA_SILENT: 3, _K.CAMERA_FAILED: 3, _K.CAMERA_OUTLIER: 3,
    _K.DRIVE_FAULT: AXIS_COUNT, _K.HOMING_JAMMED: AXIS_COUNT,
}  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """One fault: at `at_s` of plant time, or so long after `at_sheet` sheets are laid on the station."""

    kind: FaultKind
    at_s: float = 0.0
    at_sheet: int = 0
    station: int = 0
    index: int = 0
    duration_s: float = 0.0
    magnitude: float = 0.0


# What a machine gets over without losing its cell, with the magnitude it comes with.
RECOVERABLE: dict[FaultKind, float] = {
    FaultKind.PICK_MISS: 1.0,
    FaultKind.DOUBLE_SHEET: 0.0,
    FaultKind.RELEASE_SLOW: 2.5,
    FaultKind.CAMERA_LATE: 0.1,
    FaultKind.CAMERA_FAILED: 0.0,
    FaultKind.CAMERA_OUTLIER: 0.003,
}
_FAILING_S = 0.07  # a camera that fails for one image or two


def seeded_faults(seed: int, sheets: int, every: int, station: int = 0) -> list[Fault]:
    """Recoverable faults in a seeded order, on average one in `every` sheets up to `sheets`.

    ValueError where that is more than the schedule holds.
    """
    streams, faults = seed_streams(seed, STATIONS_MAX + station), []
    kinds = list(RECOVERABLE)
    for sheet in range(1, sheets + 1):
        if draw_uniform(streams, int(Stream.PLANT)) * every >= 1.0:
            continue
        kind = kinds[int(draw_uniform(streams, int(Stream.PLANT)) * len(kinds))]
        index = int(draw_uniform(streams, int(Stream.PLANT)) * min(_INDICES[kind], 2))
        if kind == FaultKind.RELEASE_SLOW:
            index *= 2  # the placing gripper of either arm
        duration_s = 0.0
        if kind == FaultKind.CAMERA_FAILED:
            # the camera of the stage that the arm of this very sheet serves
            index, duration_s = (sheet - 1) % 2, _FAILING_S
        faults.append(Fault(kind, 0.0, sheet, station, index, duration_s, RECOVERABLE[kind]))
    if len(faults) > FAULTS_MAX:
        raise ValueError(f"{len(faults)} faults: at most {FAULTS_MAX}; raise every = {every}")
    return faults


def schedule_faults(context: NDArray[np.uint8], faults: Sequence[Fault]) -> None:
    """Add faults to a context's schedule; ValueError names the one that cannot be."""
    record = context.view(CONTEXT_DTYPE)[0]
    if int(record["fault_count"]) + len(faults) > FAULTS_MAX:
        raise ValueError(f"{len(faults)} faults: at most {FAULTS_MAX} in all")
    for number, fault in enumerate(faults):
        _check(number, fault)
        row = record["faults"][int(record["fault_count"])]
        row["at_ns"] = round(fault.at_s * 1e9)
        row["at_sheet"] = fault.at_sheet
        row["duration_ns"] = round(fault.duration_s * 1e9)
        for name in ("magnitude", "kind", "station", "index"):
            row[name] = getattr(fault, name)
        record["fault_count"] += 1


def _check(number: int, fault: Fault) -> None:
    """One fault's numbers against what there is."""
    most = _INDICES.get(fault.kind, 1)
    if not 0 <= fault.index < most:
        raise ValueError(f"faults[{number}].index = {fault.index}: 0 to {most - 1}")
    if not 0 <= fault.station < STATIONS_MAX:
        raise ValueError(f"faults[{number}].station = {fault.station}: 0 to {STATIONS_MAX - 1}")
    if fault.at_s < 0.0 or fault.at_sheet < 0 or fault.duration_s < 0.0:
        raise ValueError(f"faults[{number}]: times and sheets cannot be negative")


@njit(cache=True, nogil=True, error_model="numpy")
def _strike_sheet(plant: Any, station: Any, fault: Any, kind: int, on: int) -> None:
    """Faults of picking, vacuum and cameras."""
    index = fault.index
    if kind == _PICK_MISS and on:
        station.feeders[index].miss_next = np.uint8(max(fault.magnitude, 1.0))
    elif kind == _DOUBLE and on:
        station.feeders[index].double_next = 1
    elif kind == _LOSS and on:
        station.grippers[index].lost = 1
    elif kind == _SLOW and on:
        station.release_slow[index] = fault.magnitude
    elif kind == _LATE and on:
        station.camera_delay_s[index] = fault.magnitude
    elif kind == _OUTLIER and on:
        station.camera_outlier_m[index] = fault.magnitude
    elif kind == _SILENT:
        station.camera_silent[index] = on
    elif kind == _FAILED:
        station.camera_failing[index] = on
    elif kind == _EMPTY:
        station.feeders[index].magazine_blocked = on
    elif kind == _HIPOT and on:
        station.hipot_bad = 1


@njit(cache=True, nogil=True, error_model="numpy")
def _strike_machine(plant: Any, station: Any, fault: Any, kind: int, on: int) -> None:
    """Faults of web, drives and safety."""
    web = station.web
    if kind == _DRIVE and on:
        code = np.int64(fault.magnitude)
        raise_drive_fault(station.axes[fault.index], code if code > 0 else _OVERCURRENT)
    elif kind == _JAM:
        station.axes[fault.index].jammed = on
    elif kind == _STOP:
        station.emergency_stop = on
        station.stop_ns = station.judge.now_ns
    elif kind == _DOOR:
        station.door_open = on
    elif kind == _AIR:
        station.air_low = on
    elif kind == _BREAK and on and web.end == _THREADED:
        web.end = _BROKEN
    elif kind == _SPLICE:
        web.splice = on
        station.judge.splice |= on
    elif kind == _ROLL and on:
        web.roll_m = fault.magnitude
    elif kind == _FROZEN:
        station.tension_frozen = on
    elif kind == _SLACK and on:
        web.base_m -= fault.magnitude


@njit(cache=True, nogil=True, error_model="numpy")
def _strike(plant: Any, station: Any, fault: Any, on: int) -> None:
    """Begin (on 1) or end (on 0) a fault."""
    _strike_sheet(plant, station, fault, fault.kind, on)
    _strike_machine(plant, station, fault, fault.kind, on)


@njit(cache=True, nogil=True, error_model="numpy")
def step_faults(context: Any) -> None:
    """Once a period: begin what is due, end what has lasted."""
    now = context.time_ns
    for number in range(context.fault_count):
        fault = context.faults[number]
        if fault.state == _OVER or fault.station >= context.station_count:
            continue
        station = context.stations[fault.station]
        if fault.state == _ACTIVE:
            if fault.duration_ns > 0 and now >= fault.until_ns:
                _strike(context.plant, station, fault, 0)
                fault.state = _OVER
            continue
        if fault.at_sheet > 0:
            if station.judge.sheets_laid < fault.at_sheet:
                continue
            fault.at_ns += now
            fault.at_sheet = 0
        if now >= fault.at_ns:
            _strike(context.plant, station, fault, 1)
            fault.state = _ACTIVE
            fault.until_ns = now + fault.duration_ns
