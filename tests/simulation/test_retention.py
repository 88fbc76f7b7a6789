"""What a machine has learned outlives its restart; what another one has learned is not taken."""

from pathlib import Path

import numpy as np
import pytest

from controller.planning.cycle_plan import CyclePlan, make_plan
from controller.retention import Keeper, learned_slots, restore
from controller.settings.loader import load_machine, load_recipe, load_settings
from controller.settings.plant import PlantSettings
from controller.shared.commands import CommandCode as Code
from controller.shared.packml import State
from controller.simulate import Simulation

CONFIG = Path(__file__).resolve().parents[2] / "config"
MACHINE = load_machine(CONFIG / "machine.yaml")
PLANT = load_settings(CONFIG / "plant.yaml", PlantSettings)
RECIPE = load_recipe(CONFIG / "recipes" / "reference.yaml").model_copy(update={"cathodes": 4})


@pytest.fixture(scope="module")
def plan() -> CyclePlan:
    """The small cell's plan."""
    return make_plan(MACHINE, RECIPE)


def _machine(plan: CyclePlan) -> Simulation:
    return Simulation(MACHINE, PLANT, RECIPE, seed=2, plan=plan)


def _make_cells(simulation: Simulation, keeper: Keeper, count: int) -> None:
    simulation.reset()
    simulation.command(Code.SET_CELLS, float(count))
    simulation.command(Code.START)
    while simulation.state != State.COMPLETE:
        simulation.run(0.5)
        keeper.turn()


def _bias(simulation: Simulation) -> np.ndarray:
    return np.array([simulation.station()["feeders"][polarity]["bias_m"] for polarity in range(2)])


def _said() -> list[str]:
    return []


def test_what_was_learned_is_there_after_a_restart(plan: CyclePlan, tmp_path: Path) -> None:
    before, said = _machine(plan), _said()
    slots = learned_slots(tmp_path, MACHINE)
    _make_cells(before, Keeper(slots, before.view, said.append), 2)
    assert (_bias(before) != 0.0).all()
    after = _machine(plan)
    restore(learned_slots(tmp_path, MACHINE), after.machine.state[0], said.append)
    assert (_bias(after) == _bias(before)).all()
    assert (after.station()["learned"] == before.station()["learned"]).all()
    assert int(after.station()["status"]["sheets_total"]) == 2 * RECIPE.sheets
    assert said == []
    _make_cells(after, Keeper(slots, after.view, said.append), 1)
    kept, _ = slots.load()
    assert kept is not None
    counters = kept[0]["counters"]
    assert (int(counters["cells_good"]), int(counters["runs"])) == (3, 2)
    assert int(kept[0]["stations"][0]["sheets_total"]) == 3 * RECIPE.sheets


def test_a_table_learned_with_another_plan_is_forgotten(plan: CyclePlan, tmp_path: Path) -> None:
    said = _said()
    kept = np.zeros(1, learned_slots(tmp_path, MACHINE)._dtype)
    station = kept[0]["stations"][0]
    station["learned"]["force_n"], station["learned"]["growth_n"] = 0.1, 0.1
    station["learned"]["folds"] = 9
    station["bias_m"] = 2e-5
    learned_slots(tmp_path, MACHINE).save(kept)
    machine = _machine(plan)
    restore(learned_slots(tmp_path, MACHINE), machine.machine.state[0], said.append)
    machine.reset()
    machine.command(Code.START)
    machine.run(0.1)
    for name in ("folds", "force_n", "growth_n"):
        assert (machine.station()["learned"][name] == 0).all(), name
    assert (_bias(machine) == 2e-5).all()


def test_another_machines_tables_are_refused_and_said(plan: CyclePlan, tmp_path: Path) -> None:
    other = MACHINE.model_copy(update={"name": "the machine beside"})
    slots = learned_slots(tmp_path, other)
    slots.save(np.full(1, 1, slots._dtype))
    machine, said = _machine(plan), _said()
    restore(learned_slots(tmp_path, MACHINE), machine.machine.state[0], said.append)
    assert (_bias(machine) == 0.0).all()
    assert len(said) == 1
    assert "of another machine" in said[0]


def test_a_disk_that_refuses_is_told_once_and_stops_nothing(
    plan: CyclePlan, tmp_path: Path
) -> None:
    machine, said = _machine(plan), _said()
    (tmp_path / "state").write_text("a file where a folder should be")
    keeper = Keeper(learned_slots(tmp_path / "state", MACHINE), machine.view, said.append)
    _make_cells(machine, keeper, 2)
    assert len(said) == 1
    assert "cannot be kept" in said[0]
