"""The conventional controller that Foldline is measured beside plays by the rules, and is no strawman."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.baseline.run import simulate
from bench.baseline.tuning import Tuning, best_law, settling_time, tune
from controller.settings.loader import load_machine, load_recipe, load_settings
from controller.settings.machine import MachineSettings
from controller.settings.plant import PlantSettings
from controller.settings.recipe import RecipeSettings
from hal_sim.judge.figures import first_violations
from hal_sim.judge.layout import Rule
from motion.cam_laws import MODIFIED_SINE

CONFIG = Path(__file__).resolve().parents[2] / "config"
Settings = tuple[MachineSettings, PlantSettings, RecipeSettings]


@pytest.fixture(scope="module")
def settings() -> Settings:
    recipe = load_recipe(CONFIG / "recipes/reference.yaml").model_copy(update={"cathodes": 4})
    plant = load_settings(CONFIG / "plant.yaml", PlantSettings)
    return load_machine(CONFIG / "machine.yaml"), plant, recipe


def stack(settings: Settings, tuning: Tuning | None = None, cells: int = 1) -> tuple[Any, Any]:
    return simulate(*settings, cells=cells, seed=7, tuning=tuning)


def test_two_cells_without_a_violation(settings: Settings) -> None:
    summary, context = stack(settings, cells=2)
    assert first_violations(context) == []
    assert summary["cells_truly_good"] == summary["good_cells"] == summary["cells"] == 2
    assert summary["sheets"] == 2 * settings[2].sheets
    assert summary["false_rejects"] == summary["escapes"] == 0
    assert summary["cell_change_s"] > 0.0


def test_its_dwell_is_needed(settings: Settings) -> None:
    tuned = tune(settings[0].stations[0], settings[2])
    hasty = replace(tuned, table_stretch=1.0, settle_s=0.0, table_delay_s=0.05)
    _, context = stack(settings, hasty)
    assert {row["rule"] for row in first_violations(context)} == {Rule.TABLE_AT_PLACEMENT}


def test_its_wait_for_the_arm_is_needed(settings: Settings) -> None:
    station, recipe = settings[0].stations[0], settings[2]
    swift = tune(station, recipe, best_law(station, recipe))
    assert swift.table_delay_s > 0.0
    _, waiting = stack(settings, swift)
    assert first_violations(waiting) == []
    _, context = stack(settings, replace(swift, table_delay_s=0.0))
    assert Rule.WEB_TOUCHES_BEAM in {row["rule"] for row in first_violations(context)}


def test_a_slower_cam_that_settles_sooner_is_chosen(settings: Settings) -> None:
    station, recipe = settings[0].stations[0], settings[2]
    tuning = tune(station, recipe)
    assert tuning.table_law is MODIFIED_SINE
    assert tuning.table_stretch > 1.0
    fastest = settling_time(station, MODIFIED_SINE, 0.21)
    assert settling_time(station, MODIFIED_SINE, 0.21 * tuning.table_stretch) < fastest
