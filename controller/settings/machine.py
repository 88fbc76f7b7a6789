"""The machine file: what the controller believes of the machine (`config/machine.yaml`)."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from controller.settings.axes import AxesSettings
from controller.settings.base import Settings, bounded, text
from controller.settings.fieldbus import ModbusSettings
from controller.settings.opcua import OpcUaSettings
from drivers.image import STATIONS_MAX


class RealTimeSettings(Settings):
    """How the core asks the operating system for punctuality."""

    core_cpu: int = bounded(0, 1023)
    priority: int = bounded(0, 99)  # SCHED_FIFO; 0 keeps the ordinary scheduler
    lock_memory: bool


class MasterSettings(Settings):
    """How fast the virtual master's speed (1 at 100 % override) may change."""

    acceleration_1_s: float = bounded(0.1, 1e3)
    jerk_1_s2: float = bounded(1.0, 1e5)


class ManualSettings(Settings):
    """Moving by hand: the share of an axis's limits, and how soon a jog not renewed stops."""

    jog_share: float = bounded(0.001, 0.5)
    dead_man_s: float = bounded(0.02, 5.0)


class LearningSettings(Settings):
    """What a force learns of an error that comes again every fold."""

    gain: float = bounded(0.0, 0.5)  # share of an error that the next fold takes away; 0: none
    bandwidth_hz: float = bounded(5.0, 200.0)
    forgetting: float = bounded(0.001, 0.5)  # share of what was learned that a fold lets go
    force_share_max: float = bounded(0.0, 0.5)  # of the dancer's force, of the table's rms force


class TableSettings(Settings):
    """The placement table: distance between its ends, and where it hands the cell over."""

    stroke_m: float = bounded(0.05, 0.5)
    unload_position_m: float = bounded(-0.5, 0.0)  # of TABLE_Z
    drive_bandwidth_hz: float = bounded(10.0, 1000.0)  # of its position loop, by the data sheet
    learning: LearningSettings


class TableModeSettings(Settings):
    """The table's first mode of vibration, load against encoder, as identified."""

    frequency_hz: float = bounded(5.0, 500.0)
    damping: float = bounded(0.0, 0.7)
    tolerance: float = bounded(0.0, 0.5)  # share of the frequency it is known to
    fall: float = bounded(0.0, 0.5)  # share of the frequency lost over a full stack


class ArmSettings(Settings):
    """An arm's geometry and the interlock between arm and table that the bound is made of."""

    transfer_m: float = bounded(0.05, 1.0)
    stroke_m: float = bounded(0.01, 0.2)
    discard_position_m: float = bounded(-1.0, 0.0)  # of ARM_X
    clearance_m: float = bounded(0.0005, 0.02)
    window_m: float = bounded(0.0, 0.005)
    beam_gap_m: float = bounded(
        0.0, 0.1
    )  # from a placed sheet's inner edge to the rollers, at least
    reference_stroke_m: float = bounded(0.005, 0.2)


class FingerSettings(Settings):
    """Press fingers: how far in over the sheet, how far down, and how long both take together."""

    in_m: float = bounded(0.002, 0.05)
    down_m: float = bounded(0.001, 0.02)
    time_s: float = bounded(0.002, 0.5)


class VacuumSettings(Settings):
    """Grippers' vacuum: levels that count as made and released, expected times and time-out."""

    made_pa: float = bounded(1e3, 95e3)
    released_pa: float = bounded(0.0, 50e3)
    on_time_s: float = bounded(0.0, 1.0)
    off_time_s: float = bounded(0.0, 1.0)
    timeout_s: float = bounded(0.01, 5.0)
    pick_retries: int = bounded(0, 10)
    double_sheet_ratio: float = bounded(1.05, 1.95)  # of one sheet's thickness


class StageSettings(Settings):
    """Alignment stage: the range of a correction."""

    range_m: float = bounded(1e-4, 0.02)
    range_rad: float = bounded(1e-4, 0.2)


class SheetCameraSettings(Settings):
    """Camera under a stage: latency, retries, noise, and what counts as an outlier."""

    latency_late_s: float = bounded(0.001, 2.0)
    timeout_s: float = bounded(0.01, 5.0)
    retries: int = bounded(0, 10)
    sigma_m: float = bounded(0.0, 1e-3)
    sigma_rad: float = bounded(0.0, 0.02)
    outlier_m: float = bounded(1e-4, 0.02)
    outlier_rad: float = bounded(1e-3, 0.2)


class StackCameraSettings(Settings):
    """Camera over the stack: noise, and the share of a seen drift corrected each sheet."""

    sigma_m: float = bounded(0.0, 1e-3)
    sigma_rad: float = bounded(0.0, 0.02)
    drift_gain: float = bounded(0.0, 1.0)


class PlacementSettings(Settings):
    """What no correction removes of a placement, each axis."""

    sigma_m: float = bounded(0.0, 1e-3)
    sigma_rad: float = bounded(0.0, 0.02)


class DancerSettings(Settings):
    """The dancer between feed and table."""

    mass_kg: float = bounded(0.01, 5.0)
    stiffness_n_m: float = bounded(0.0, 5e3)
    damping_n_s_m: float = bounded(0.0, 500.0)
    limit_m: float = bounded(1e-3, 0.3)
    gain_1_s: float = bounded(0.0, 100.0)  # feed speed for a metre off centre


class LoopSettings(Settings):
    """The unwind loop before the feed roller and the roll behind it."""

    length_m: float = bounded(0.01, 2.0)
    gain_1_s: float = bounded(0.0, 100.0)
    roll_radius_min_m: float = bounded(0.01, 0.5)


class EdgeSettings(Settings):
    """Web edge control."""

    gain_1_s: float = bounded(0.0, 500.0)
    warning_m: float = bounded(1e-5, 0.01)


class WebSettings(Settings):
    """The separator's path from roll to fold."""

    free_span_m: float = bounded(0.05, 5.0)
    roller_height_m: float = bounded(0.01, 0.5)  # underside above the placing plane
    roller_radius_m: float = bounded(0.0, 0.1)
    acceleration_max_m_s2: float = bounded(1.0, 1e3)
    guide_mass_kg: float = bounded(0.0, 0.1)  # moves with the web between dancer and table
    feed_lag_s: float = bounded(0.0, 0.1)
    load_cell_lag_s: float = bounded(0.0, 0.05)
    tension_gain_1_s: float = bounded(0.0, 5.0)  # rate at which the mean error is taken away
    tension_warning_share: float = bounded(0.01, 0.5)
    dancer: DancerSettings
    loop: LoopSettings
    edge: EdgeSettings
    learning: LearningSettings


class CellChangeSettings(Settings):
    """Whether a cell's wrap runs beside the next start, on the changer's other table."""

    mode: Literal["serial", "parallel"]
    tail_m: float = bounded(0.0, 5.0)  # web that half a turn of the changer draws
    clamp_time_s: float = bounded(0.0, 1.0)  # a table's clamps need to close
    conveyor_time_s: float = bounded(0.0, 10.0)  # a stack needs to leave the wrapping place


class StationSettings(Settings):
    """One stacking station."""

    name: str = text(32)
    axes: AxesSettings
    table: TableSettings
    table_mode: TableModeSettings
    arm: ArmSettings
    fingers: FingerSettings
    vacuum: VacuumSettings
    stage: StageSettings
    sheet_camera: SheetCameraSettings
    stack_camera: StackCameraSettings
    placement: PlacementSettings
    web: WebSettings
    cell_change: CellChangeSettings


class MachineSettings(Settings):
    """The whole machine file; a station takes what it does not say from the first one."""

    name: str = text()
    period_us: int = bounded(250, 4000)
    hal: Literal["simulator", "ethercat"]
    ethercat: str | None = text(4096, default=None)  # the bus's topology, a file beside this one
    overruns_in_a_row_max: int = bounded(1, 1000)
    real_time: RealTimeSettings
    master: MasterSettings
    manual: ManualSettings
    opcua: OpcUaSettings = OpcUaSettings()
    stations: Annotated[
        tuple[StationSettings, ...], Field(min_length=1, max_length=STATIONS_MAX, strict=False)
    ]
    modbus: Annotated[tuple[ModbusSettings, ...], Field(max_length=64, strict=False)] = ()

    @field_validator("stations")
    @classmethod
    def _names_differ(cls, stations: tuple[StationSettings, ...]) -> tuple[StationSettings, ...]:
        names = [station.name for station in stations]
        if len(set(names)) < len(names):
            raise ValueError("two stations share a name; give each its own")
        return stations

    @field_validator("modbus")
    @classmethod
    def _readings_differ(cls, modbus: tuple[ModbusSettings, ...]) -> tuple[ModbusSettings, ...]:
        places = [(device.station, device.reading) for device in modbus]
        if len(set(places)) < len(places):
            raise ValueError("two devices give the same reading of a station; remove one")
        return modbus

    @model_validator(mode="after")
    def _bus_described(self) -> Self:
        if self.hal == "ethercat" and self.ethercat is None:
            raise ValueError("hal = ethercat: needs the bus's topology; add `ethercat: FILE`")
        last = len(self.stations) - 1
        for device in self.modbus:
            if device.station > last:
                place = f"modbus {device.reading}: station = {device.station}"
                raise ValueError(f"{place}: above the last station {last}; lower it")
        return self
