"""Shutting down while stacking: everything that could collide stands before its drive is disabled."""

from pathlib import Path

import numpy as np
import pytest

from controller.planning.cycle_plan import CyclePlan, make_plan
from controller.runtime.loop import LoopCode
from controller.runtime.virtual import run_virtual
from controller.settings.loader import load_machine, load_recipe, load_settings
from controller.settings.plant import PlantSettings
from controller.shared.commands import CommandCode
from controller.shared.packml import State
from controller.simulate import Simulation
from drivers.image import AxisId

CONFIG = Path(__file__).resolve().parents[2] / "config"
STANDS_M_S = 0.02
CYCLES_MAX = 20_000


@pytest.fixture(scope="module")
def plan() -> CyclePlan:
    """The reference recipe's plan."""
    recipe = load_recipe(CONFIG / "recipes" / "reference.yaml")
    return make_plan(load_machine(CONFIG / "machine.yaml"), recipe)


def _stacking(plan: CyclePlan, after_s: float) -> Simulation:
    simulation = Simulation(
        load_machine(CONFIG / "machine.yaml"),
        load_settings(CONFIG / "plant.yaml", PlantSettings),
        load_recipe(CONFIG / "recipes" / "reference.yaml"),
        seed=1,
        plan=plan,
    )
    simulation.reset()
    simulation.command(CommandCode.START)
    simulation.run_until(lambda: simulation.state == State.EXECUTE, 60.0)
    simulation.run(after_s)
    return simulation


@pytest.mark.parametrize("after_s", [0.001, 0.05, 0.3])
def test_arms_table_and_fingers_stand_before_their_drives_are_disabled(
    plan: CyclePlan, after_s: float
) -> None:
    simulation = _stacking(plan, after_s)
    simulation.view.send(CommandCode.SHUT_DOWN)
    assert run_virtual(simulation.machine, CYCLES_MAX) == LoopCode.SHUT_DOWN
    assert simulation.state == State.STOPPED
    velocity = simulation.station()["status"]["axes"]["actual_velocity_m_s"][: AxisId.FEED]
    moving = [AxisId(int(axis)).name for axis in np.flatnonzero(abs(velocity) > STANDS_M_S)]
    assert moving == []


def test_a_machine_that_has_made_its_cells_shuts_down_at_once() -> None:
    recipe = load_recipe(CONFIG / "recipes" / "reference.yaml").model_copy(update={"cathodes": 2})
    machine = load_machine(CONFIG / "machine.yaml")
    plant = load_settings(CONFIG / "plant.yaml", PlantSettings)
    simulation = Simulation(machine, plant, recipe, seed=1)
    simulation.reset()
    simulation.command(CommandCode.SET_CELLS, value=1.0)
    simulation.command(CommandCode.START)
    simulation.run_until(lambda: simulation.state == State.COMPLETE, 60.0)
    simulation.view.send(CommandCode.SHUT_DOWN)
    assert run_virtual(simulation.machine, 100) == LoopCode.SHUT_DOWN
    assert simulation.state == State.STOPPED
