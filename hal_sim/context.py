"""Build the simulator's context: one record of bytes that holds plant, noise, faults and judge."""

from collections.abc import Mapping
from math import erf, log, pi, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivers.cia402 import PowerState
from drivers.image import AXIS_KIND, ROTARY_KINDS, STATIONS_MAX, AxisId, AxisKind, Polarity
from hal_sim.layout import CONTEXT_DTYPE
from hal_sim.noise import Stream, draw_normal, draw_uniform, seed_streams
from hal_sim.plant.web import path_to_fold

SUBSTEP_NS = 250_000
Section = Mapping[str, Any]
Context = NDArray[np.uint8]


def context_record(context: Context) -> Any:
    """The context as a record of CONTEXT_DTYPE that shares its memory."""
    return context.view(CONTEXT_DTYPE)[0]


def make_context(plant: Section, station_count: int, period_ns: int, seed: int) -> Context:
    """A fresh machine of `station_count` stations at power-on, uint8 (CONTEXT_DTYPE.itemsize,).

    plant: the dumped plant file; period_ns: of the control cycle; seed: of every draw.
    """
    if not 1 <= station_count <= STATIONS_MAX:
        raise ValueError(f"station_count = {station_count}: 1 to {STATIONS_MAX}")
    context = np.zeros(CONTEXT_DTYPE.itemsize, np.uint8)
    record = context_record(context)
    record["period_ns"] = period_ns
    record["seed"] = seed
    record["station_count"] = station_count
    record["substeps"] = max(1, round(period_ns / SUBSTEP_NS))
    record["step_s"] = period_ns * 1e-9 / record["substeps"]
    _fill_plant(record["plant"], plant)
    for index in range(station_count):
        _power_on(record["plant"], record["stations"][index], seed, index)
    return context


def _fill_axis(row: Any, axis: Section, rotary: bool) -> None:
    """One axis's parameters; a rotary axis's keys say rad and N m where the row says m and N."""
    names = {"mass_kg": "inertia_kg_m2"} if rotary else {}
    for name in row.dtype.names:
        if name.startswith(("stiffness", "damping", "integral")):
            continue
        key = names.get(name, name)
        if rotary and key == name:
            key = key.replace("_n", "_n_m") if name.endswith("_n") else key
            key = key.replace("force_", "torque_").replace("_m_s", "_rad_s")
            key = key[:-2] + "_rad" if key.endswith("_m") and not key.endswith("_n_m") else key
        row[name] = axis[key]
    omega = 2.0 * pi * axis["bandwidth_hz"]
    row["stiffness_n_m"] = row["mass_kg"] * omega * omega
    row["damping_n_s_m"] = 2.0 * row["mass_kg"] * omega
    row["integral_n_m_s"] = row["stiffness_n_m"] / axis["integral_time_s"]
    row["integral_limit_n"] = 2.0 * row["friction_n"] + 0.05 * row["force_peak_n"]


def _fill_plant(row: Any, plant: Section) -> None:
    """Every parameter of the plant file in its place."""
    for axis, kind in enumerate(AXIS_KIND):
        settings = plant["axes"][AxisKind(kind).name.lower()]
        _fill_axis(row["axes"][axis], settings, kind in ROTARY_KINDS)
        fingers = kind in (AxisKind.FINGER_IN, AxisKind.FINGER_DOWN)
        if fingers and plant["fingers"]["pneumatic_stroke_s"] > 0.0:
            row["axes"][axis]["following_error_m"] = 1.0  # a valve follows nothing
    _fill_sheets(row, plant)
    _fill_web(row, plant["web"])
    _fill_cameras(row, plant)
    _fill_judge(row["judge"], plant)


_ALIKE: dict[str, tuple[str, ...]] = {
    "drives": ("watchdog_s", "boot_s", "safe_stop_delay_s"),
    "table": (
        *("mode_damping", "mode_uncertainty", "mode_fall", "mode_mass_kg"),
        *("layer_mass_kg", "reference_layers"),
    ),
    "arm": ("transfer_m", "contact_m", "reach_m", "hold_acceleration_m_s2"),
    "vacuum": ("miss_share", "double_share"),
    "sheets": ("layer_thickness_m", "thickness_noise_m", "magazine_sheets"),
    "scatter": (
        *("pick_m", "pick_rad", "drift_m_s", "table_m", "correction_m", "release_m"),
        *("release_rad", "calibration_m", "thermal_time_s", "curl_s"),
    ),
}


def _fill_sheets(row: Any, plant: Section) -> None:
    """Geometry, table, vacuum and scatter."""
    for section, names in _ALIKE.items():
        for name in names:
            row[name] = plant[section][name]
    sheets, table, arm = plant["sheets"], plant["table"], plant["arm"]
    over = sheets["anode_overhang_m"]
    for polarity, extra in ((Polarity.ANODE, over), (Polarity.CATHODE, 0.0)):
        row["sheet_half_length_m"][polarity] = 0.5 * sheets["cathode_length_m"] + extra
        row["sheet_half_width_m"][polarity] = 0.5 * sheets["cathode_width_m"] + extra
        row["sheet_thickness_m"][polarity] = sheets[f"{polarity.name.lower()}_thickness_m"]
    row["magazine_refill"] = sheets["magazine_refill_below"]
    row["half_pitch_m"] = 0.5 * sheets["fold_pitch_m"]
    row["table_end_m"], row["unload_m"] = table["end_m"], table["unload_z_m"]
    row["mode_rad_s"] = 2.0 * pi * table["mode_frequency_hz"]
    row["arm_up_m"] = arm["up_m"]
    for name in ("tail_m", "clamp_s", "conveyor_s"):
        row[name] = plant["changer"][name]
    row["cut_m"], row["tape_m"] = 0.03, 0.03
    for name in ("in_m", "down_m", "clear_m"):
        row[f"finger_{name}"] = plant["fingers"][name]
    row["pneumatic_s"] = plant["fingers"]["pneumatic_stroke_s"]
    row["pneumatic_sigma_s"] = plant["fingers"]["pneumatic_sigma_s"]
    for name in ("level_pa", "leak_pa", "made_pa", "released_pa"):
        row[f"vacuum_{name}"] = plant["vacuum"][name]
    row["vacuum_on_s"] = plant["vacuum"]["on_time_s"]
    row["vacuum_off_s"] = plant["vacuum"]["off_time_s"]
    row["vacuum_sigma_s"] = plant["vacuum"]["time_sigma_s"]
    scatter = plant["scatter"]
    row["drag_m"], row["drag_rad"] = scatter["web_drag_m"], scatter["web_drag_rad"]
    row["cut_scatter_m"], row["thermal_m"] = scatter["cut_m"], scatter["thermal_drift_m"]
    row["hipot_good_ohm"] = plant["hipot_resistance_ohm"]


def _fill_cameras(row: Any, plant: Section) -> None:
    """Latency as median and sigma of the logarithm; noise and failures."""
    row["camera_outlier_m"] = plant["camera_outlier_m"]
    for index, name in enumerate(("sheet_camera", "stack_camera")):
        camera = plant[name]
        ratio = camera["latency_late_s"] / camera["latency_median_s"]
        row["camera_median_s"][index] = camera["latency_median_s"]
        row["camera_sigma_log"][index] = log(ratio) / _normal_quantile(1.0 - camera["late_share"])
        row["camera_m"][index] = camera["sigma_m"]
        row["camera_rad"][index] = camera["sigma_rad"]
        row["camera_failure_share"][index] = camera["failure_share"]
        row["camera_outlier_share"][index] = camera["outlier_share"]


def _normal_quantile(share: float) -> float:
    """The standard normal's quantile, by bisection of the error function's integral."""
    low, high = 0.0, 8.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        below = 0.5 * (1.0 + erf(middle / sqrt(2.0))) < share
        low, high = (middle, high) if below else (low, middle)
    return low


def _fill_web(row: Any, web: Section) -> None:
    """Stiffness of the two spans and everything the web runs over."""
    area_stiffness_n = web["modulus_pa"] * web["thickness_m"] * web["width_m"]
    row["stiffness_upstream_n_m"] = area_stiffness_n / web["upstream_span_m"]
    row["stiffness_downstream_n_m"] = area_stiffness_n / web["downstream_span_m"]
    row["web_damping_s"], row["web_thickness_m"] = web["damping_s"], web["thickness_m"]
    for name in ("guide_mass_kg", "roller_height_m", "roller_radius_m", "edge_sigma_m"):
        row[name] = web[name]
    for name in ("edge_time_s", "load_cell_lag_s", "loop_noise_m"):
        row[name] = web[name]
    row["edge_lag_s"] = 1.0 / (2.0 * pi * web["edge_bandwidth_hz"])
    row["load_cell_n"], row["radius_noise_m"] = web["load_cell_noise_n"], web["roll_radius_noise_m"]
    feed, dancer, unwind = web["feed"], web["dancer"], web["unwind"]
    for name in ("lag_s", "lag_uncertainty", "noise_m", "noise_time_s"):
        row[f"feed_{name}"] = feed[name]
    row["slip_n"] = feed["slip_n"]
    for name in ("mass_kg", "damping_n_s_m", "stiffness_n_m", "friction_n", "stop_m"):
        row[f"dancer_{name}"] = dancer[name]
    for name in ("roll_radius_m", "core_radius_m", "eccentricity_m", "loop_start_m", "loop_max_m"):
        row[name] = unwind[name]


def _fill_judge(row: Any, plant: Section) -> None:
    """Limits of the rules."""
    judge = plant["judge"]
    for name in row.dtype.names:
        if name in judge:
            row[name] = judge[name]
    row["finger_lead_ns"] = round(judge["finger_lead_s"] * 1e9)
    row["overhang_m"] = plant["sheets"]["anode_overhang_m"]
    row["tension_n"] = plant["web"]["tension_n"]


def _around(streams: Any, share: float) -> float:
    """A factor drawn evenly within 1 +- share."""
    return 1.0 + share * (2.0 * float(draw_uniform(streams, int(Stream.PLANT))) - 1.0)


def _power_on(plant: Any, station: Any, seed: int, index: int) -> None:
    """The station as it stands when it is switched on: parked somewhere near, nothing homed."""
    streams = station["streams"]
    streams[:] = seed_streams(seed, index)
    for axis in range(len(AxisId)):
        _power_on_axis(plant["axes"][axis], station["axes"][axis], streams)
    station["mode_rad_s"] = plant["mode_rad_s"] * _around(streams, plant["mode_uncertainty"])
    station["load_m"] = station["axes"][AxisId.TABLE_X]["position_m"]
    for feeder in station["feeders"]:
        feeder["magazine"] = plant["magazine_sheets"]
        for axis in range(3):
            sign = 1.0 if draw_uniform(streams, int(Stream.PLANT)) < 0.5 else -1.0
            feeder["drift_rate"][axis] = sign * plant["drift_m_s"] * (axis < 2)
        for axis in range(2):
            normal = draw_normal(streams, int(Stream.PLANT))
            feeder["calibration_m"][axis] = plant["calibration_m"] * normal
    _power_on_web(plant, station, streams)
    station["judge"]["cell"] = 1


def _power_on_axis(plant: Any, axis: Any, streams: Any) -> None:
    """Near its reference mark, with an encoder that knows nothing, unless it is absolute."""
    scatter = float(plant["home_scatter_m"])
    away = scatter * (_around(streams, 1.0) - 1.0)
    position = float(plant["home_position_m"]) + (0.0 if plant["homes_in_place"] else away)
    axis["position_m"] = min(max(position, plant["position_min_m"]), plant["position_max_m"])
    axis["mass_kg"] = plant["mass_kg"]
    axis["power_state"] = PowerState.NOT_READY
    if plant["absolute_encoder"]:
        axis["homed"] = 1
    else:
        axis["encoder_offset_m"] = 3.0 * scatter * (_around(streams, 1.0) - 1.0)


def _power_on_web(plant: Any, station: Any, streams: Any) -> None:
    """The web threaded to the table's left edge, just taut."""
    web = station["web"]
    web["feed_lag_s"] = plant["feed_lag_s"] * _around(streams, plant["feed_lag_uncertainty"])
    web["side"] = -1.0
    web["laid_m"] = -path_to_fold(plant, station, -1.0)[0]
    web["loop_m"] = plant["loop_start_m"]
    area = pi * (plant["roll_radius_m"] ** 2 - plant["core_radius_m"] ** 2)
    web["roll_m"] = area / plant["web_thickness_m"]
    web["roll_radius_m"] = plant["roll_radius_m"]
    web["roll_phase_rad"] = 2.0 * pi * draw_uniform(streams, int(Stream.PLANT))
