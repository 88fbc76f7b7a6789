"""Cameras: a new trigger number is one exposure; its reading comes back after a lognormal latency."""

from typing import Any

import numpy as np
from numba import njit

from drivers.image import AxisId, ReadingQuality
from hal_sim.judge.layout import Rule
from hal_sim.judge.truth import count_violation
from hal_sim.noise import Stream, draw_lognormal, draw_normal, draw_uniform
from hal_sim.plant.sheets import staged_pose

_GOOD, _FAILED = int(ReadingQuality.GOOD), int(ReadingQuality.FAILED)
_CAMERA, _STAGE_X = int(Stream.ANODE_CAMERA), int(AxisId.ANODE_STAGE_X)
_UNCORRECTED = int(Rule.UNCORRECTED_SHEET)
STACK = 2


@njit(cache=True, nogil=True, error_model="numpy")
def _expose(plant: Any, station: Any, camera: Any, index: int, time_ns: int, now_ns: int) -> None:
    """Take the image now: noise, outliers, failures and latency are drawn."""
    kind = 1 if index == STACK else 0
    stream, streams = _CAMERA + index, station.streams
    for axis in range(2):
        camera.noise[axis] = plant.camera_m[kind] * draw_normal(streams, stream)
    camera.noise[2] = plant.camera_rad[kind] * draw_normal(streams, stream)
    outlier = draw_uniform(streams, stream) < plant.camera_outlier_share[kind]
    far = plant.camera_outlier_m if outlier else 0.0
    far += station.camera_outlier_m[index]
    station.camera_outlier_m[index] = 0.0
    failed = draw_uniform(streams, stream) < plant.camera_failure_share[kind]
    latency = draw_lognormal(
        streams, stream, plant.camera_median_s[kind], plant.camera_sigma_log[kind]
    )
    latency += station.camera_delay_s[index]
    station.camera_delay_s[index] = 0.0
    reading = camera.reading
    reading.captured_ns = time_ns
    reading.sequence = camera.trigger
    reading.quality = _FAILED if failed or station.camera_failing[index] else _GOOD
    reading.x_m = camera.noise[0] + far
    reading.y_m = camera.noise[1]
    reading.theta_rad = camera.noise[2]
    camera.due_ns = now_ns + np.int64(latency * 1e9)
    camera.pending = 0 if station.camera_silent[index] else 1
    camera.moved = 0


@njit(cache=True, nogil=True, error_model="numpy")
def _refuse(reading: Any) -> None:
    """Nothing could be measured."""
    reading.x_m = 0.0
    reading.y_m = 0.0
    reading.theta_rad = 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def trigger_sheet_camera(
    plant: Any, station: Any, polarity: int, trigger: int, time_ns: int, now_ns: int
) -> None:
    """A new number exposes the staged sheet; without one the reading will be a failure."""
    feeder = station.feeders[polarity]
    camera = feeder.camera
    if np.uint32(trigger) == camera.trigger:
        return
    camera.trigger = np.uint32(trigger)
    _expose(plant, station, camera, polarity, time_ns, now_ns)
    camera.identity = feeder.staged.identity
    for axis in range(3):
        camera.stage[axis] = station.axes[_STAGE_X + 3 * polarity + axis].position_m
    reading = camera.reading
    if feeder.staged.count == 0:
        reading.quality = _FAILED
    if reading.quality != _GOOD:
        _refuse(reading)
        return
    x, y, theta = staged_pose(station, polarity)
    reading.x_m += x
    reading.y_m += y
    reading.theta_rad += theta


@njit(cache=True, nogil=True, error_model="numpy")
def trigger_stack_camera(plant: Any, station: Any, trigger: int, time_ns: int, now_ns: int) -> None:
    """A new number exposes the stack's top sheet."""
    camera = station.stack_camera
    if np.uint32(trigger) == camera.trigger:
        return
    camera.trigger = np.uint32(trigger)
    _expose(plant, station, camera, STACK, time_ns, now_ns)
    reading = camera.reading
    if station.stack_count == 0:
        reading.quality = _FAILED
    if reading.quality != _GOOD:
        _refuse(reading)
        return
    reading.x_m += station.stack_top_pose[0]
    reading.y_m += station.stack_top_pose[1]
    reading.theta_rad += station.stack_top_pose[2]


@njit(cache=True, nogil=True, error_model="numpy")
def _deliver(camera: Any, result: Any) -> None:
    """Hand the reading over."""
    reading = camera.reading
    result.captured_ns = reading.captured_ns
    result.x_m = reading.x_m
    result.y_m = reading.y_m
    result.theta_rad = reading.theta_rad
    result.quality = reading.quality
    result.sequence = reading.sequence  # last, for whoever reads beside the loop
    camera.pending = 0


@njit(cache=True, nogil=True, error_model="numpy")
def answer_sheet_camera(plant: Any, station: Any, polarity: int, result: Any, now_ns: int) -> None:
    """Deliver a due reading; until then the stage must stand still (rule 9)."""
    feeder = station.feeders[polarity]
    camera = feeder.camera
    if not camera.pending:
        return
    for axis in range(3):
        away = abs(station.axes[_STAGE_X + 3 * polarity + axis].position_m - camera.stage[axis])
        limit = plant.judge.stage_motion_m if axis < 2 else plant.judge.stage_motion_rad
        if away > limit and not camera.moved:
            camera.moved = 1
            count_violation(station, _UNCORRECTED, 2 * polarity + 1, away)
    if now_ns < camera.due_ns:
        return
    _deliver(camera, result)
    staged = feeder.staged
    if result.quality == _GOOD and staged.count and staged.identity == camera.identity:
        staged.measured = 1
        staged.camera_m[0] = camera.noise[0]
        staged.camera_m[1] = camera.noise[1]
        staged.camera_rad = camera.noise[2]


@njit(cache=True, nogil=True, error_model="numpy")
def answer_stack_camera(station: Any, result: Any, now_ns: int) -> None:
    """Deliver a due reading of the stack."""
    camera = station.stack_camera
    if camera.pending and now_ns >= camera.due_ns:
        _deliver(camera, result)
