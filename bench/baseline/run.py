"""The baseline on the simulated machine: built from the same settings, judged by the same judge."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.baseline.chain import run_cycles
from bench.baseline.layout import SETTINGS_DTYPE, STATE_DTYPE, Phase
from bench.baseline.program import build_program
from bench.baseline.tuning import Tuning, law_factors, tune
from controller.planning.timeline import ideal_bound
from controller.settings.machine import MachineSettings, StationSettings
from controller.settings.plant import PlantSettings
from controller.settings.recipe import RecipeSettings
from drivers.image import AXIS_KIND, IMAGE_DTYPE, AxisId, AxisKind
from hal_sim.context import make_context
from hal_sim.judge.figures import figures, judge_cells
from motion.cam_laws import MODIFIED_SINE
from motion.cam_table import CamTable, pack
from motion.fold_geometry import fold_geometry

CHUNK_CYCLES = 5000
SECONDS_A_CELL_MAX = 600.0


class Baseline:
    """One conventional controller and its simulated machine, station by station the same seam."""

    def __init__(
        self,
        machine: MachineSettings,
        plant: PlantSettings,
        recipe: RecipeSettings,
        seed: int,
        tuning: Tuning | None = None,
        feed_cam: bool = True,
    ) -> None:
        self.station = machine.stations[0]
        self.tuning = tuning or tune(self.station, recipe)
        self.period_ns = machine.period_us * 1000
        self.context = make_context(plant.model_dump(), 1, self.period_ns, seed)
        self.image = np.zeros(1, IMAGE_DTYPE)
        self.image[0]["inputs"]["period_ns"] = self.period_ns
        self.image[0]["inputs"]["station_count"] = 1
        self.state = np.zeros(1, STATE_DTYPE)
        self.settings = fill_settings(self.station, recipe, self.tuning, feed_cam)
        self.settings[0]["period_s"] = self.period_ns * 1e-9

    @property
    def virtual_s(self) -> float:
        """Virtual time since power-on."""
        return float(self.state[0]["time_s"])

    @property
    def done(self) -> bool:
        """Whether every cell that was asked for is finished."""
        return bool(self.state[0]["phase"] == Phase.DONE)

    def run(self, cycles: int) -> None:
        """Run on; RuntimeError names the axis whose drive gave up."""
        run_cycles(self.image[0], self.context, self.state[0], self.settings[0], cycles)
        failed = int(self.state[0]["failed_axis"])
        if failed:
            name = AxisId(failed - 1).name.lower()
            raise RuntimeError(f"baseline: drive of {name} failed at {self.virtual_s:.3f} s")


def fill_settings(
    station: StationSettings, recipe: RecipeSettings, tuning: Tuning, feed_cam: bool
) -> NDArray[np.void]:
    """What the kernels need of machine and recipe, (1,) of SETTINGS_DTYPE."""
    made = np.zeros(1, SETTINGS_DTYPE)
    row = made[0]
    program = build_program(station, recipe, tuning)
    row["program"][: len(program)] = program
    laws = [CamTable.from_law(law, 1.0, 0.0, 1.0) for law in (MODIFIED_SINE, tuning.table_law)]
    cams, segments = pack(laws)
    row["laws"], row["law_segments"][: len(segments)] = cams, segments
    _fill_axes(row, station, tuning)
    _fill_sheets(row, station, recipe)
    _fill_web(row, station, recipe, tuning)
    row["feed_cam"] = feed_cam
    return made


def _fill_axes(row: Any, station: StationSettings, tuning: Tuning) -> None:
    stretch = {
        AxisKind.TABLE_X: tuning.table_stretch,
        AxisKind.FINGER_DOWN: tuning.finger_stretch,
    }
    for axis in AxisId:
        values = station.axes.of_kind(AXIS_KIND[axis]).values
        law = tuning.table_law if axis == AxisId.TABLE_X else MODIFIED_SINE
        factors = law_factors(values, law)
        names = ("per_velocity_s_m", "per_acceleration_s2_m", "per_jerk_s3_m")
        for name, factor in zip(names, factors, strict=True):
            row[name][axis] = factor
        row["stretch"][axis] = stretch.get(AXIS_KIND[axis], 1.0)
        row["mass_kg"][axis] = values.mass_kg
        row["in_position_m"][axis] = values.in_position_m


def _fill_sheets(row: Any, station: StationSettings, recipe: RecipeSettings) -> None:
    vacuum, stage = station.vacuum, station.stage
    row["made_pa"], row["released_pa"] = vacuum.made_pa, vacuum.released_pa
    row["pick_timeout_s"] = vacuum.timeout_s
    row["stage_range_m"], row["stage_range_rad"] = stage.range_m, stage.range_rad
    thick = (recipe.anode.thickness_m, recipe.cathode.thickness_m)
    row["double_m"] = [vacuum.double_sheet_ratio * value for value in thick]
    row["layer_m"], row["sheets"] = recipe.layer_thickness_m, recipe.sheets
    half = 0.5 * recipe.cathode.length_x_m
    row["half_sheet_m"] = (half + recipe.anode.overhang_m, half)
    row["finger_down_m"] = station.fingers.down_m


def _fill_web(row: Any, station: StationSettings, recipe: RecipeSettings, tuning: Tuning) -> None:
    web = station.web
    row["geometry"] = fold_geometry(
        recipe.fold_pitch_m, station.table.stroke_m, web.roller_height_m, web.roller_radius_m
    )[0]
    row["tension_n"] = recipe.tension_n
    row["tension_min_n"] = recipe.reject.tension_min_n
    row["tension_max_n"] = recipe.reject.tension_max_n
    row["feed_lead_s"] = tuning.feed_lead_s
    row["dancer_gain_1_s"] = tuning.dancer_gain_1_s
    row["dancer_integral_1_s2"] = tuning.dancer_integral_1_s2
    row["loop_m"], row["loop_gain_1_s"] = web.loop.length_m, web.loop.gain_1_s
    row["roll_radius_min_m"] = web.loop.roll_radius_min_m
    row["edge_gain_1_s"] = web.edge.gain_1_s
    row["edge_range_m"] = min(station.axes.edge.position_max_m, -station.axes.edge.position_min_m)


def simulate(
    machine: MachineSettings,
    plant: PlantSettings,
    recipe: RecipeSettings,
    cells: int,
    seed: int,
    progress: Callable[[float], None] | None = None,
    tuning: Tuning | None = None,
) -> tuple[dict[str, Any], Any]:
    """Make `cells` cells; returns a summary with the keys of Foldline's, and the simulator's context."""
    baseline = Baseline(machine, plant, recipe, seed, tuning)
    baseline.settings[0]["cells"] = cells
    baseline.run(0)  # compiles
    started = time.perf_counter()
    while not baseline.done:
        if baseline.virtual_s > SECONDS_A_CELL_MAX * cells:
            raise RuntimeError(f"baseline: stuck at line {int(baseline.state[0]['line'])}")
        baseline.run(CHUNK_CYCLES)
        if progress is not None:
            progress(int(baseline.state[0]["cells_done"]) / cells)
    return _summary(baseline, time.perf_counter() - started), baseline.context


def _summary(baseline: Baseline, wall_s: float) -> dict[str, Any]:
    state = baseline.state[0]
    cells = int(state["cells_done"])
    rejected = [bool(value) for value in state["rejects"][:cells]]
    truth = [not cell["good"] for cell in judge_cells(baseline.context)]
    pairs = list(zip(rejected, truth, strict=False))
    return {
        "cells": cells,
        "good_cells": cells - sum(rejected),
        "rejected_cells": sum(rejected),
        **figures(baseline.context),
        "false_rejects": sum(said and not bad for said, bad in pairs),
        "escapes": sum(bad and not said for said, bad in pairs),
        "bound_s_per_sheet": ideal_bound(baseline.station).seconds,
        "retries": int(state["retries"]),
        "virtual_s": baseline.virtual_s,
        "wall_s": wall_s,
        "realtime_ratio": baseline.virtual_s / wall_s,
    }
