"""Machines and cells that nobody tuned for: stacked without breaking a rule, or refused with a reason."""

import contextlib
import random
from typing import Any

import pytest

from controller.assembly import judge_figures
from controller.planning.timeline import PlanRefused
from controller.settings.loader import load_machine, load_recipe, load_settings
from controller.settings.machine import MachineSettings
from controller.settings.plant import PlantSettings
from controller.settings.recipe import RecipeSettings
from controller.simulate import Simulation, stack_cells
from tests.simulation.small_cells import CONFIG

AXES = ("table_x", "arm_x", "arm_z", "finger_in", "finger_down", "feed", "stage_xy")
LIMITS = ("velocity_max_m_s", "acceleration_max_m_s2", "jerk_max_m_s3")
FILES = {"B": ("machine", "plant"), "C": ("classes/machine_c", "classes/plant_c")}
FILES["D"] = ("classes/machine_d", "classes/plant_d")
Tree = dict[str, Any]


def any_machine(seed: int) -> tuple[MachineSettings, PlantSettings, RecipeSettings]:
    """A class with slower axes, another mode and how well it is known, another sheet, tension, speed."""
    chance = random.Random(seed)
    machine_file, plant_file = FILES[chance.choice(sorted(FILES))]
    machine = load_machine(CONFIG / f"{machine_file}.yaml").model_dump()
    plant = load_settings(CONFIG / f"{plant_file}.yaml", PlantSettings).model_dump()
    recipe = load_recipe(CONFIG / "recipes/reference.yaml").model_dump() | {"cathodes": 6}
    station = machine["stations"][0]
    for axis in AXES:
        for limit in LIMITS:
            if chance.random() < 0.3:
                station["axes"][axis][limit] *= chance.uniform(0.6, 1.0)
    station["table_mode"]["tolerance"] = chance.choice([0.005, 0.02, 0.05, 0.1, 0.15])
    _tune(station, plant, chance.uniform(0.75, 1.3))
    if chance.random() < 0.4:
        _cut(recipe, plant, chance.uniform(0.06, 0.15))
    recipe["tension_n"] = plant["web"]["tension_n"] = chance.uniform(2.0, 5.0)
    recipe["speed_override"] = chance.choice([0.3, 0.7, 1.0, 1.0])
    return (
        MachineSettings.model_validate(machine),
        PlantSettings.model_validate(plant),
        RecipeSettings.model_validate(recipe),
    )


def _tune(station: Tree, plant: Tree, factor: float) -> None:
    station["table_mode"]["frequency_hz"] *= factor
    plant["table"]["mode_frequency_hz"] *= factor


def _cut(recipe: Tree, plant: Tree, length_m: float) -> None:
    recipe["cathode"]["length_x_m"] = plant["sheets"]["cathode_length_m"] = length_m
    margins = recipe["anode"]["overhang_m"] + recipe["separator"]["overhang_m"]
    plant["sheets"]["fold_pitch_m"] = length_m + 2 * margins


def stack_on_any_machine(seed: int) -> None:
    """A small cell, and no rule broken; PlanRefused where the sheet cannot be laid on the machine."""
    simulation = Simulation(*any_machine(seed), seed)
    stack_cells(simulation, 1)
    figures = judge_figures(simulation.machine)
    assert figures["violations"] == {}
    assert figures["cells_truly_good"] == 1
    assert figures["table_residual_um"]["max"] <= 10.0


@pytest.mark.parametrize("seed", [0, 1, 6])  # one of each class, each has a plan
def test_any_machine_stacks_by_the_rules(seed: int) -> None:
    stack_on_any_machine(seed)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(7, 107))
def test_a_hundred_machines_more_do_or_are_refused(seed: int) -> None:
    with contextlib.suppress(PlanRefused):
        stack_on_any_machine(seed)
