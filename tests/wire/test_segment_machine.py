"""A whole cell over EtherCAT in lock-step: the same machine, seed and judge as the in-process simulator."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from controller.settings.loader import load_machine, load_recipe, load_settings
from controller.settings.plant import PlantSettings
from controller.shared.commands import CommandCode
from controller.simulate import Simulation
from drivers.ethercat.topology import stacker_topology
from hal_sim.ethercat import lockstep_machine
from hal_sim.ethercat.lockstep import Lockstep
from hal_sim.exchange import exchange as plant_exchange
from hal_sim.judge.figures import figures

CONFIG = Path(__file__).parents[2] / "config"


def undisturbed(plant: PlantSettings) -> PlantSettings:
    """All noise on, but no pick misses, double sheets or failed pictures: recoveries would differ."""
    camera = plant.sheet_camera.model_copy(
        update={"failure_share": 0.0, "late_share": 1e-6, "latency_median_s": 0.02}
    )
    vacuum = plant.vacuum.model_copy(update={"miss_share": 0.0, "double_share": 0.0})
    return plant.model_copy(update={"sheet_camera": camera, "vacuum": vacuum})


def one_cell(over_the_bus: bool) -> dict[str, Any]:
    """Make one cell and return what the judge saw."""
    machine = load_machine(CONFIG / "machine.yaml")
    plant = undisturbed(load_settings(CONFIG / "plant.yaml", PlantSettings))
    simulation = Simulation(machine, plant, load_recipe(CONFIG / "recipes" / "reference.yaml"), 1)
    built, bus = simulation.machine, None
    if over_the_bus:
        bus = Lockstep(stacker_topology(1), plant_exchange, plant=np.array(built.context))
        bus.bring_up()
        built.exchange, built.context = lockstep_machine.exchange, bus.context
    simulation.reset()
    simulation.command(CommandCode.START)
    simulation.run_until(lambda: len(simulation.records) >= 1, 120.0)
    return figures(np.array(bus.body.plant) if bus else built.context)


def test_a_cell_over_the_bus_is_as_good_as_one_without() -> None:
    direct, wired = one_cell(False), one_cell(True)
    assert wired["cells_truly_good"] == 1 and wired["sheets"] == direct["sheets"]
    assert wired["violations"] == {}
    assert wired["s_per_sheet"] == pytest.approx(direct["s_per_sheet"], rel=0.02)
    for path in (("overlay_mm", "sigma"), ("overlay_mm", "p99_7"), ("tension_n", "rms_deviation")):
        there, here = wired[path[0]][path[1]], direct[path[0]][path[1]]
        assert there == pytest.approx(here, rel=0.05), path
