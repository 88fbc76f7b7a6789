"""Speed override and trims, live: registration is kept at any speed, trims move what they say and no more."""

import itertools
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from controller.assembly import judge_figures
from controller.planning.cycle_plan import CyclePlan, make_plan
from controller.settings.loader import load_machine, load_recipe, load_settings
from controller.settings.plant import PlantSettings
from controller.shared.commands import CommandCode as Code
from controller.shared.commands import CommandResult as Result
from controller.shared.conditions import ConditionId
from controller.shared.events import EventKind
from controller.shared.packml import State
from controller.simulate import Simulation
from hal_sim.judge.figures import first_violations

CONFIG = Path(__file__).resolve().parents[2] / "config"
MACHINE = load_machine(CONFIG / "machine.yaml")
PLANT = load_settings(CONFIG / "plant.yaml", PlantSettings)
RECIPE = load_recipe(CONFIG / "recipes" / "reference.yaml").model_copy(update={"cathodes": 12})
SIGMA_RATIO_MAX = 1.05
SENSED_S_MAX = 0.004  # what a half fold waits for sensors, at any speed
CELL_S_MAX = 6000.0


@pytest.fixture(scope="module")
def plan() -> CyclePlan:
    """A cell of 25 sheets."""
    return make_plan(MACHINE, RECIPE)


def _idle(plan: CyclePlan, share: float = 1.0, seed: int = 11) -> Simulation:
    """A machine whose table's true mode is a share of the one believed."""
    hertz = share * MACHINE.stations[0].table_mode.frequency_hz
    table = PLANT.table.model_copy(update={"mode_frequency_hz": hertz})
    plant = PLANT.model_copy(update={"table": table})
    simulation = Simulation(MACHINE, plant, RECIPE, seed=seed, plan=plan)
    simulation.reset()
    simulation.command(Code.SET_CELLS, 1.0)
    return simulation


def _judged(simulation: Simulation) -> dict[str, Any]:
    """The judge's figures of a cell that nothing was wrong with."""
    assert first_violations(simulation.machine.context) == []
    assert not any(simulation.station()["status"]["alarms"]), simulation.where()
    figures = judge_figures(simulation.machine)
    assert (figures["sheets"], len(simulation.records)) == (RECIPE.sheets, 1)
    overlay = figures["overlay_mm"]
    assert overlay["sigma"] <= SIGMA_RATIO_MAX * overlay["irreducible_sigma"]
    return figures


@pytest.mark.parametrize(
    ("override", "share"),
    [(0.01, 1.0), *itertools.product([0.05, *np.arange(0.1, 1.0, 0.1), 0.95], [0.9, 1.0, 1.1])],
)
def test_registration_is_kept_at_any_speed(plan: CyclePlan, override: float, share: float) -> None:
    simulation = _idle(plan, share)
    assert simulation.command(Code.SET_SPEED_OVERRIDE, override) == Result.ACCEPTED
    simulation.command(Code.START)
    simulation.run_until(lambda: simulation.state == State.COMPLETE, CELL_S_MAX, step_s=0.5)
    figures = _judged(simulation)
    scaled = plan.times.period_s / override
    assert scaled * 0.999 <= figures["s_per_sheet"] <= scaled + SENSED_S_MAX


def test_the_web_waits_for_the_arm_of_a_fast_machine_too() -> None:
    """Class D's arriving arm stands hardly before the web reaches its sheet."""
    machine = load_machine(CONFIG / "classes" / "machine_d.yaml")
    plant = load_settings(CONFIG / "classes" / "plant_d.yaml", PlantSettings)
    simulation = Simulation(machine, plant, RECIPE, seed=11, plan=make_plan(machine, RECIPE))
    simulation.reset()
    simulation.command(Code.SET_CELLS, 1.0)
    simulation.command(Code.SET_SPEED_OVERRIDE, 0.9)
    _cell(simulation)
    _judged(simulation)


def _run_into_traverse(simulation: Simulation, plan: CyclePlan) -> None:
    """Run on to the middle of a half fold of the cell's first sheets."""
    middle_s = 0.5 * (plan.times.table_start_s + plan.times.table_end_s)
    status = simulation.station()["status"]
    simulation.run_until(lambda: status["sheet"] > 4, CELL_S_MAX)
    simulation.run_until(lambda: status["master_s"] < middle_s, CELL_S_MAX)
    simulation.run_until(lambda: status["master_s"] >= middle_s, CELL_S_MAX)


def test_just_below_full_speed_the_fastest_quiet_one_is_taken(plan: CyclePlan) -> None:
    simulation, quiet = _idle(plan), float(plan.record[0]["slow_speed_max"])
    assert 0.9 < quiet < 1.0
    assert simulation.command(Code.SET_SPEED_OVERRIDE, 0.99) == Result.ACCEPTED
    simulation.command(Code.START)
    _run_into_traverse(simulation, plan)
    assert simulation.station()["status"]["master_speed"] == quiet
    simulation.run_until(lambda: simulation.state == State.COMPLETE, CELL_S_MAX, step_s=0.5)
    scaled = plan.times.period_s / quiet
    assert _judged(simulation)["s_per_sheet"] <= scaled + SENSED_S_MAX


@pytest.mark.parametrize(("first", "then"), [(1.0, 0.4), (0.4, 1.0), (0.6, 0.5)])
def test_a_load_that_a_change_of_speed_set_swinging_is_waited_for(
    plan: CyclePlan, first: float, then: float
) -> None:
    simulation = _idle(plan)
    assert simulation.command(Code.SET_SPEED_OVERRIDE, first) == Result.ACCEPTED
    simulation.command(Code.START)
    _run_into_traverse(simulation, plan)
    simulation.command(Code.SET_SPEED_OVERRIDE, then)
    status = simulation.station()["status"]
    simulation.run_until(lambda: status["gate_condition"] == ConditionId.LOAD_QUIET, 2.0)
    simulation.run_until(lambda: simulation.state == State.COMPLETE, CELL_S_MAX, step_s=0.5)
    _judged(simulation)


@pytest.mark.parametrize("seed", range(4))
def test_registration_is_kept_while_the_speed_changes(plan: CyclePlan, seed: int) -> None:
    simulation, draw = _idle(plan, share=_draw_share(seed), seed=seed), random.Random(seed)
    simulation.command(Code.START)
    changes = 0
    while simulation.state != State.COMPLETE:
        simulation.run(draw.uniform(0.005, 0.4))
        override = draw.choice((1.0, 1.0, 0.9, 0.6, 0.3, 0.1, 0.02))
        assert simulation.command(Code.SET_SPEED_OVERRIDE, override) == Result.ACCEPTED
        changes += 1
        assert simulation.virtual_s < CELL_S_MAX, simulation.where()
    assert changes > 50
    _judged(simulation)


def _draw_share(seed: int) -> float:
    """A true mode within ten per cent of the one believed."""
    return random.Random(100 + seed).uniform(0.9, 1.1)


@pytest.mark.parametrize("override", [0.0, 0.009, 1.001, -1.0, float("nan"), float("inf")])
def test_a_speed_out_of_bounds_is_refused(plan: CyclePlan, override: float) -> None:
    simulation = _idle(plan)
    assert simulation.command(Code.SET_SPEED_OVERRIDE, override) == Result.REFUSED_VALUE
    assert float(simulation.machine.state[0]["machine"]["speed_override"]) == 1.0


def _told(simulation: Simulation) -> list[tuple[int, int, float]]:
    _, events = simulation.view.drain_events(0)
    told = events[events["kind"] == EventKind.SETTING_CHANGED]
    return [(int(e["code"]), int(e["index"]), float(e["value"])) for e in told]


def _cell(simulation: Simulation) -> None:
    simulation.command(Code.START)
    simulation.run_until(lambda: simulation.state == State.COMPLETE, CELL_S_MAX, step_s=0.5)


def _mean_tension(simulation: Simulation) -> float:
    return float(simulation.records[-1]["tension_mean_n"])


def test_a_tension_trim_moves_the_tension_by_as_much(plan: CyclePlan) -> None:
    means = {}
    for trim in (0.0, 0.2, -0.2):
        simulation = _idle(plan)
        assert simulation.command(Code.SET_TENSION_TRIM, trim) == Result.ACCEPTED
        assert _told(simulation) == [(Code.SET_TENSION_TRIM, 0, trim)]
        _cell(simulation)
        _judged(simulation)
        means[trim] = _mean_tension(simulation)
    assert means[0.2] - means[0.0] == pytest.approx(0.2, abs=0.03)
    assert means[-0.2] - means[0.0] == pytest.approx(-0.2, abs=0.03)


def _placed(simulation: Simulation) -> np.ndarray:
    """Mean place of the cell's sheets as the stack camera saw them: x, y, theta."""
    layers = simulation.records[-1]["layers"][: RECIPE.sheets]
    seen = layers[np.abs(layers["after_m"][:, 0]) < 1.0]
    return np.array([*seen["after_m"].mean(axis=0), seen["after_rad"].mean()])


@pytest.mark.parametrize(
    ("index", "value", "noise"), [(0, 1e-4, 4e-5), (1, -1e-4, 4e-5), (2, 1e-3, 2e-4)]
)
def test_an_offset_trim_moves_the_sheets_by_as_much(
    plan: CyclePlan, index: int, value: float, noise: float
) -> None:
    plain, trimmed = _idle(plan), _idle(plan)
    assert trimmed.command(Code.SET_OFFSET_TRIM, value, index=index) == Result.ACCEPTED
    assert _told(trimmed) == [(Code.SET_OFFSET_TRIM, index, value)]
    _cell(plain)
    _cell(trimmed)
    moved = _placed(trimmed) - _placed(plain)
    assert moved[index] == pytest.approx(value, abs=noise)
    others = np.delete(moved / (4e-5, 4e-5, 2e-4), index)
    assert np.abs(others).max() < 1.0
    assert first_violations(trimmed.machine.context) == []


def test_trims_are_bounded(plan: CyclePlan) -> None:
    simulation, stage = _idle(plan), MACHINE.stations[0].stage
    warning_n = MACHINE.stations[0].web.tension_warning_share * RECIPE.tension_n
    refused = [
        (Code.SET_TENSION_TRIM, 1.01 * warning_n, 0),
        (Code.SET_TENSION_TRIM, float("nan"), 0),
        (Code.SET_OFFSET_TRIM, 0.51 * stage.range_m, 0),
        (Code.SET_OFFSET_TRIM, -0.51 * stage.range_m, 1),
        (Code.SET_OFFSET_TRIM, 0.51 * stage.range_rad, 2),
        (Code.SET_OFFSET_TRIM, 0.0, 3),
        (Code.SET_OFFSET_TRIM, 0.0, -1),
    ]
    for code, value, index in refused:
        assert simulation.command(code, value, index=index) == Result.REFUSED_VALUE
    assert simulation.command(Code.SET_TENSION_TRIM, 0.1, station=1) == Result.REFUSED_VALUE
    assert _told(simulation) == []
