"""The plant file: what the simulated machine truly is, apart from what the controller believes.

Numbers keep their unit in the key; `model_dump()` is what the simulator's context is built from.
"""

from typing import Self

from pydantic import Field, model_validator

from controller.settings.base import Settings, bounded, text


class PlantAxis(Settings):
    """One kind of linear axis: load, motor, encoder and the drive's own settings."""

    mass_kg: float = bounded(1e-3, 500.0)
    friction_n: float = bounded(0.0, 1e3)
    bandwidth_hz: float = bounded(0.5, 300.0)
    integral_time_s: float = bounded(1e-3, 10.0)
    force_peak_n: float = bounded(0.1, 20e3)
    force_rms_n: float = bounded(0.1, 20e3)
    thermal_time_s: float = bounded(0.1, 1e4)
    encoder_noise_m: float = bounded(0.0, 1e-3)
    position_min_m: float = bounded(-1e6, 1e6)
    position_max_m: float = bounded(-1e6, 1e6)
    home_position_m: float = bounded(-1e3, 1e3)
    home_scatter_m: float = bounded(0.0, 1.0)
    homing_velocity_m_s: float = bounded(1e-4, 10.0)
    following_error_m: float = bounded(1e-6, 1.0)
    quick_stop_m_s2: float = bounded(1e-2, 1e3)
    homes_in_place: bool = False
    absolute_encoder: bool = False


class PlantRotaryAxis(Settings):
    """One kind of rotary axis."""

    inertia_kg_m2: float = bounded(1e-6, 50.0)
    friction_n_m: float = bounded(0.0, 100.0)
    bandwidth_hz: float = bounded(0.5, 300.0)
    integral_time_s: float = bounded(1e-3, 10.0)
    torque_peak_n_m: float = bounded(1e-3, 2e3)
    torque_rms_n_m: float = bounded(1e-3, 2e3)
    thermal_time_s: float = bounded(0.1, 1e4)
    encoder_noise_rad: float = bounded(0.0, 1e-2)
    position_min_rad: float = bounded(-1e7, 1e7)
    position_max_rad: float = bounded(-1e7, 1e7)
    home_position_rad: float = bounded(-1e3, 1e3)
    home_scatter_rad: float = bounded(0.0, 10.0)
    homing_velocity_rad_s: float = bounded(1e-4, 100.0)
    following_error_rad: float = bounded(1e-6, 10.0)
    quick_stop_rad_s2: float = bounded(1e-2, 1e4)
    homes_in_place: bool = False
    absolute_encoder: bool = False


class PlantAxes(Settings):
    """The axes by kind."""

    table_x: PlantAxis
    table_z: PlantAxis
    finger_in: PlantAxis
    finger_down: PlantAxis
    arm_x: PlantAxis
    arm_z: PlantAxis
    stage_xy: PlantAxis
    stage_theta: PlantRotaryAxis
    feed: PlantAxis
    unwind: PlantRotaryAxis
    dancer: PlantAxis
    edge: PlantAxis
    cut: PlantAxis
    wrap: PlantRotaryAxis
    tape: PlantAxis
    changer: PlantRotaryAxis


class PlantDrives(Settings):
    """What every drive does by itself."""

    watchdog_s: float = bounded(0.01, 10.0)
    boot_s: float = bounded(0.0, 10.0)
    safe_stop_delay_s: float = bounded(0.0, 5.0)


class PlantSheets(Settings):
    """Sheets, magazines and the places where they are handed over."""

    cathode_length_m: float = bounded(0.02, 1.0)
    cathode_width_m: float = bounded(0.02, 2.0)
    anode_overhang_m: float = bounded(1e-4, 0.01)
    fold_pitch_m: float = bounded(0.02, 1.1)
    anode_thickness_m: float = bounded(1e-5, 1e-3)
    cathode_thickness_m: float = bounded(1e-5, 1e-3)
    layer_thickness_m: float = bounded(2e-5, 2e-3)
    magazine_sheets: int = bounded(1, 1_000_000)
    magazine_refill_below: int = bounded(0, 1_000_000)
    thickness_noise_m: float = bounded(0.0, 1e-4)


class PlantTable(Settings):
    """The table: its ends, its mode and what a layer adds."""

    end_m: float = bounded(0.01, 1.0)
    unload_z_m: float = bounded(-0.5, -0.001)
    mode_frequency_hz: float = bounded(5.0, 300.0)
    mode_damping: float = bounded(1e-3, 0.5)
    mode_uncertainty: float = bounded(0.0, 0.5)
    mode_fall: float = bounded(0.0, 0.5)
    mode_mass_kg: float = bounded(0.1, 100.0)
    layer_mass_kg: float = bounded(0.0, 1.0)
    reference_layers: float = bounded(1.0, 200.0)


class PlantChanger(Settings):
    """The turret with two tables: the web half a turn draws, and what works on its plates."""

    tail_m: float = bounded(0.0, 5.0)
    clamp_s: float = bounded(0.0, 1.0)  # a plate's clamps need to close
    conveyor_s: float = bounded(0.0, 10.0)  # a stack needs to leave the wrapping place


class PlantArm(Settings):
    """The arms: where they grip and what the vacuum holds against."""

    transfer_m: float = bounded(0.05, 2.0)
    up_m: float = bounded(0.005, 0.5)
    contact_m: float = bounded(1e-5, 1e-3)
    reach_m: float = bounded(1e-5, 0.01)
    hold_acceleration_m_s2: float = bounded(1.0, 1e4)


class PlantFingers(Settings):
    """The press fingers; a pneumatic stroke of 0 s stands for servo fingers."""

    in_m: float = bounded(1e-3, 0.1)
    down_m: float = bounded(1e-3, 0.1)
    clear_m: float = bounded(0.0, 0.05)
    pneumatic_stroke_s: float = bounded(0.0, 1.0)
    pneumatic_sigma_s: float = bounded(0.0, 0.1)


class PlantVacuum(Settings):
    """The vacuum's level, speed and failures."""

    level_pa: float = bounded(1e3, 1e5)
    leak_pa: float = bounded(0.0, 1e5)
    made_pa: float = bounded(1e3, 1e5)
    released_pa: float = bounded(1e2, 1e5)
    on_time_s: float = bounded(1e-3, 1.0)
    off_time_s: float = bounded(1e-3, 1.0)
    time_sigma_s: float = bounded(0.0, 0.1)
    miss_share: float = bounded(0.0, 1.0)
    double_share: float = bounded(0.0, 1.0)


class PlantScatter(Settings):
    """Every sigma between magazine and stack."""

    pick_m: float = bounded(0.0, 0.01)
    pick_rad: float = bounded(0.0, 0.1)
    drift_m_s: float = bounded(0.0, 1e-4)
    table_m: float = bounded(0.0, 1e-3)
    correction_m: float = bounded(0.0, 1e-3)
    release_m: float = bounded(0.0, 1e-3)
    release_rad: float = bounded(0.0, 0.01)
    web_drag_m: float = bounded(0.0, 1e-3)
    web_drag_rad: float = bounded(0.0, 0.01)
    cut_m: float = bounded(0.0, 1e-3)
    calibration_m: float = bounded(0.0, 1e-2)
    thermal_drift_m: float = bounded(0.0, 1e-2)
    thermal_time_s: float = bounded(1.0, 1e6)
    curl_s: float = bounded(0.0, 1e-3)


class PlantCamera(Settings):
    """A camera: its latency, noise and failures."""

    latency_median_s: float = bounded(1e-3, 10.0)
    latency_late_s: float = bounded(1e-3, 10.0)
    late_share: float = bounded(1e-6, 0.4)
    sigma_m: float = bounded(0.0, 1e-3)
    sigma_rad: float = bounded(0.0, 0.01)
    failure_share: float = bounded(0.0, 1.0)
    outlier_share: float = bounded(0.0, 1.0)

    @model_validator(mode="after")
    def _tail(self) -> Self:
        if self.latency_late_s <= self.latency_median_s:
            raise ValueError("latency_late_s must be above latency_median_s; raise it")
        return self


class PlantFeed(Settings):
    """The nipped feed roller."""

    lag_s: float = bounded(1e-4, 0.5)
    lag_uncertainty: float = bounded(0.0, 0.5)
    noise_m: float = bounded(0.0, 1e-3)
    noise_time_s: float = bounded(1e-3, 10.0)
    slip_n: float = bounded(0.1, 1e3)


class PlantDancer(Settings):
    """The dancer between feed roller and guide."""

    mass_kg: float = bounded(1e-3, 10.0)
    damping_n_s_m: float = bounded(0.0, 1e3)
    stiffness_n_m: float = bounded(0.0, 1e4)
    friction_n: float = bounded(0.0, 10.0)
    stop_m: float = bounded(1e-3, 1.0)


class PlantUnwind(Settings):
    """The roll and the loop before the feed roller."""

    roll_radius_m: float = bounded(0.01, 1.0)
    core_radius_m: float = bounded(0.005, 1.0)
    eccentricity_m: float = bounded(0.0, 0.02)
    loop_start_m: float = bounded(0.0, 2.0)
    loop_max_m: float = bounded(0.01, 5.0)


class PlantWeb(Settings):
    """The separator and everything it runs over."""

    tension_n: float = bounded(0.1, 100.0)
    modulus_pa: float = bounded(1e8, 1e10)
    thickness_m: float = bounded(1e-6, 1e-3)
    width_m: float = bounded(0.01, 2.0)
    upstream_span_m: float = bounded(0.01, 5.0)
    downstream_span_m: float = bounded(0.01, 5.0)
    damping_s: float = bounded(0.0, 1e-2)
    guide_mass_kg: float = bounded(1e-4, 1.0)
    roller_height_m: float = bounded(0.005, 1.0)
    roller_radius_m: float = bounded(0.0, 0.1)
    feed: PlantFeed
    dancer: PlantDancer
    unwind: PlantUnwind
    edge_sigma_m: float = bounded(0.0, 0.01)
    edge_time_s: float = bounded(0.01, 100.0)
    edge_bandwidth_hz: float = bounded(0.1, 100.0)
    load_cell_lag_s: float = bounded(1e-5, 1.0)
    load_cell_noise_n: float = bounded(0.0, 10.0)
    roll_radius_noise_m: float = bounded(0.0, 0.1)
    loop_noise_m: float = bounded(0.0, 0.1)


class PlantJudge(Settings):
    """The limits of the ten rules and of a good cell."""

    clearance_m: float = bounded(1e-4, 0.1)
    window_m: float = bounded(1e-5, 0.1)
    residual_m: float = bounded(1e-7, 1e-2)
    residual_m_s: float = bounded(1e-6, 1.0)
    height_m: float = bounded(1e-6, 1e-2)
    near_m: float = bounded(1e-3, 1.0)
    finger_margin_m: float = bounded(0.0, 0.1)
    finger_lead_s: float = bounded(0.0, 1.0)
    touch_m_s: float = bounded(1e-4, 10.0)
    beam_gap_m: float = bounded(0.0, 0.5)
    stage_motion_m: float = bounded(1e-7, 1e-3)
    stage_motion_rad: float = bounded(1e-8, 1e-2)
    pick_velocity_m_s: float = bounded(1e-6, 1.0)
    correction_m: float = bounded(1e-6, 1e-2)
    overhang_min_m: float = bounded(0.0, 0.01)
    tension_min_n: float = bounded(0.0, 100.0)
    tension_max_n: float = bounded(0.1, 1e3)
    recovery_factor: float = bounded(1.0, 10.0)


class PlantSettings(Settings):
    """The whole plant file: every station of the virtual machine is built from it."""

    name: str = text()
    drives: PlantDrives
    axes: PlantAxes
    sheets: PlantSheets
    table: PlantTable
    changer: PlantChanger
    arm: PlantArm
    fingers: PlantFingers
    vacuum: PlantVacuum
    scatter: PlantScatter
    sheet_camera: PlantCamera
    stack_camera: PlantCamera
    camera_outlier_m: float = bounded(0.0, 0.1)
    web: PlantWeb
    hipot_resistance_ohm: float = bounded(1e3, 1e12)
    judge: PlantJudge
    notes: str = Field(default="", max_length=2000)
