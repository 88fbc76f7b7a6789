"""Everything a station measures besides drives and cameras."""

from typing import Any

import numpy as np
from numba import njit

from hal_sim.noise import Stream, draw_cheap, draw_normal

_SENSOR, _HIPOT = int(Stream.SENSOR), int(Stream.HIPOT)


@njit(cache=True, nogil=True, error_model="numpy")
def _sense_web(plant: Any, station: Any, inputs: Any, time_ns: int) -> None:
    """Load cell, dancer, loop, roll and edge."""
    web, streams = station.web, station.streams
    if not station.tension_frozen:
        inputs.tension_n = web.load_cell_n + plant.load_cell_n * draw_cheap(streams, _SENSOR)
        inputs.tension_stamp_ns = time_ns
    inputs.dancer_position_m = station.axes[22].position_m
    inputs.dancer_stamp_ns = time_ns
    inputs.loop_length_m = web.loop_m + plant.loop_noise_m * draw_cheap(streams, _SENSOR)
    noise = plant.radius_noise_m * draw_cheap(streams, _SENSOR)
    inputs.roll_radius_m = web.roll_radius_m + noise
    inputs.web_edge_m = web.edge_m
    inputs.splice_detected = web.splice


@njit(cache=True, nogil=True, error_model="numpy")
def _sense_sheets(plant: Any, station: Any, inputs: Any, time_ns: int) -> None:
    """Vacuum, thickness in the fetching gripper, what the magazines hold."""
    inputs.magazine_stamp_ns = time_ns
    for gripper in range(4):
        inputs.vacuum_pa[gripper] = station.grippers[gripper].pressure_pa
    for polarity in range(2):
        count = station.grippers[2 * polarity + 1].sheet.count
        thickness = count * plant.sheet_thickness_m[polarity]
        noise = plant.thickness_noise_m * draw_cheap(station.streams, _SENSOR)
        inputs.sheet_thickness_m[polarity] = thickness + noise
        feeder = station.feeders[polarity]
        inputs.magazine_sheets[polarity] = 0 if feeder.magazine_blocked else feeder.magazine


@njit(cache=True, nogil=True, error_model="numpy")
def _sense_hipot(plant: Any, station: Any, output: Any, inputs: Any) -> None:
    """The insulation tester shows a value as long as its test is on."""
    if output.hipot_test and not station.hipot_test:
        spread = 1.0 + 0.05 * draw_normal(station.streams, _HIPOT)
        place = station.wrapping
        bad = place.hipot_bad if place.count else station.hipot_bad
        station.hipot_ohm = plant.hipot_good_ohm * spread * (1e-4 if bad else 1.0)
    station.hipot_test = output.hipot_test
    inputs.hipot_resistance_ohm = station.hipot_ohm if output.hipot_test else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def sense_station(plant: Any, station: Any, output: Any, inputs: Any, time_ns: int) -> None:
    """Fill a station's inputs other than axes and cameras."""
    _sense_web(plant, station, inputs, time_ns)
    _sense_sheets(plant, station, inputs, time_ns)
    _sense_hipot(plant, station, output, inputs)
    inputs.emergency_stop_ok = np.uint8(station.emergency_stop == 0)
    inputs.safe_torque_off_ok = np.uint8(station.torque_off == 0)
    inputs.door_closed = np.uint8(station.door_open == 0)
    inputs.air_pressure_ok = np.uint8(station.air_low == 0)
