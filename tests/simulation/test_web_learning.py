"""The web over some cells: tension learned and held whatever the web and the table are, the roll foreseen."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from controller.assembly import judge_figures
from controller.planning.cycle_plan import CyclePlan, make_plan
from controller.settings.loader import load_machine, load_recipe, load_settings
from controller.settings.plant import PlantSettings
from controller.shared.alarms import AlarmId
from controller.shared.commands import CommandCode
from controller.shared.packml import State
from controller.simulate import Simulation
from hal_sim.judge.layout import Rule
from hal_sim.layout import CONTEXT_DTYPE

CONFIG = Path(__file__).resolve().parents[2] / "config"
MACHINE = load_machine(CONFIG / "machine.yaml")
RECIPE = load_recipe(CONFIG / "recipes" / "reference.yaml")
PLANT = load_settings(CONFIG / "plant.yaml", PlantSettings)
CELL_S = 60.0
SEED = 4


@pytest.fixture(scope="module")
def plan() -> CyclePlan:
    return make_plan(MACHINE, RECIPE)


def _plant(path: str, value: float) -> PlantSettings:
    """The reference plant with one value changed, told by its path."""
    values = PLANT.model_dump()
    *parents, name = path.split(".")
    place = values
    for parent in parents:
        place = place[parent]
    assert name in place
    place[name] = value
    return PlantSettings.model_validate(values)


def _make(simulation: Simulation, cells: int) -> None:
    simulation.reset()
    simulation.command(CommandCode.SET_CELLS, value=float(cells))
    simulation.command(CommandCode.START)
    simulation.run_until(lambda: simulation.state == State.COMPLETE, cells * CELL_S, 0.5)


def _truth(simulation: Simulation) -> Any:
    return simulation.machine.context.view(CONTEXT_DTYPE)[0]["stations"][0]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("table.mode_frequency_hz", 40.5),
        ("table.mode_frequency_hz", 49.5),
        ("web.modulus_pa", 0.5e9),
        ("web.modulus_pa", 1.5e9),
    ],
)
def test_tension_is_held_on_a_machine_that_is_not_the_believed_one(
    plan: CyclePlan, path: str, value: float
) -> None:
    simulation = Simulation(MACHINE, _plant(path, value), RECIPE, SEED, plan=plan)
    _make(simulation, 3)
    figures = judge_figures(simulation.machine)
    tension = figures["tension_n"]
    assert str(Rule.WEB_TENSION.value) not in figures["violations"]
    assert tension["first_cell"]["rms_deviation"] < 0.06 * RECIPE.tension_n
    assert tension["first_cell"]["peak_deviation"] < 0.2 * RECIPE.tension_n
    assert tension["rms_deviation"] < 0.03 * RECIPE.tension_n
    assert tension["peak_deviation"] < 0.1 * RECIPE.tension_n
    assert int(simulation.station()["learned"]["folds"].min()) > 50


def test_learning_takes_away_what_a_wrong_mode_leaves(plan: CyclePlan) -> None:
    deaf = replace(plan, record=plan.record.copy())
    deaf.record["learning"]["filter"] = 0.0
    rms = []
    for made in (deaf, plan):
        plant = _plant("table.mode_frequency_hz", 49.5)
        simulation = Simulation(MACHINE, plant, RECIPE, SEED, plan=made)
        _make(simulation, 3)
        rms.append(judge_figures(simulation.machine)["tension_n"]["rms_deviation"])
    assert rms[1] < 0.75 * rms[0]  # what remains is noise, 0.027 N of it


def test_nothing_is_learned_from_a_reading_that_stands_still(plan: CyclePlan) -> None:
    simulation = Simulation(MACHINE, PLANT, RECIPE, SEED, plan=plan)
    simulation.reset()
    simulation.command(CommandCode.START)
    simulation.run_until(lambda: int(simulation.station()["status"]["sheet"]) == 20, CELL_S)
    force_n = simulation.station()["learned"]["force_n"]
    learned = force_n.copy()
    simulation.run(0.3)
    assert not np.array_equal(force_n, learned)
    _truth(simulation)["tension_frozen"] = 1
    simulation.run(0.003)
    learned, trim_n = force_n.copy(), float(simulation.station()["web"]["mean_trim_n"])
    simulation.run(0.1)
    assert np.array_equal(force_n, learned)
    assert float(simulation.station()["web"]["mean_trim_n"]) != trim_n
    trim_n = float(simulation.station()["web"]["mean_trim_n"])
    simulation.run(0.3)
    assert float(simulation.station()["web"]["mean_trim_n"]) == trim_n


def test_the_roll_is_measured_by_what_comes_off_it(plan: CyclePlan) -> None:
    simulation = Simulation(MACHINE, PLANT, RECIPE, SEED, plan=plan)
    _make(simulation, 1)
    true_m = float(_truth(simulation)["web"]["roll_radius_m"])
    station = simulation.station()
    assert float(station["learned"]["roll_radius_m"]) == pytest.approx(true_m, abs=2e-4)
    assert float(station["status"]["roll_left_m"]) == pytest.approx(
        float(_truth(simulation)["web"]["roll_m"]), rel=0.01
    )
    assert not station["status"]["alarms"][AlarmId.ROLL_ENDING]


def test_the_end_of_the_roll_is_announced_and_no_cell_is_begun_that_it_would_break(
    plan: CyclePlan,
) -> None:
    core_m, web = PLANT.web.unwind.core_radius_m, plan.record[0]["web"]
    left_m = 1.6 * float(web["cell_m"])
    radius_m = np.sqrt(core_m**2 + left_m * float(web["separator_thickness_m"]) / np.pi)
    plant = _plant("web.unwind.roll_radius_m", float(radius_m))
    simulation = Simulation(MACHINE, plant, RECIPE, SEED, plan=plan)
    simulation.reset()
    simulation.command(CommandCode.SET_CELLS, value=3.0)
    simulation.command(CommandCode.START)
    simulation.run_until(lambda: len(simulation.records) == 1, CELL_S, 0.5)
    simulation.run(20.0)
    status = simulation.station()["status"]
    assert status["alarms"][AlarmId.ROLL_ENDING]
    assert 0.0 < float(status["roll_left_cells"]) < 1.0
    assert len(simulation.records) == 1
    assert int(status["cell"]) == 0
    assert judge_figures(simulation.machine)["violations"] == {}
