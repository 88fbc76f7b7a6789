"""A cell recorded period by period tells what the judge saw, and can be drawn."""

from pathlib import Path

import numpy as np
import pytest

from bench.pictures import draw_fold, draw_overlay, draw_tension
from bench.recording import Recording, record_cells
from controller.settings.loader import load_machine, load_recipe, load_settings
from controller.settings.plant import PlantSettings
from controller.simulate import Simulation
from drivers.image import AxisId
from hal_sim.context import context_record

CONFIG = Path(__file__).resolve().parents[2] / "config"


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    recipe = load_recipe(CONFIG / "recipes/reference.yaml").model_copy(update={"cathodes": 4})
    plant = load_settings(CONFIG / "plant.yaml", PlantSettings)
    return Simulation(load_machine(CONFIG / "machine.yaml"), plant, recipe, seed=3)


@pytest.fixture(scope="module")
def recording(simulation: Simulation) -> Recording:
    return record_cells(simulation, (1,), 9)[0]


def test_it_holds_every_period_from_the_first_sheet_to_the_last(
    simulation: Simulation, recording: Recording
) -> None:
    rows = recording.rows
    assert np.allclose(np.diff(rows["time_s"]), 1e-3)
    assert rows["sheets"][0] == 1
    assert rows["sheets"][-1] == 9
    assert np.ptp(rows["target_m"][:, AxisId.TABLE_X]) == pytest.approx(0.2, abs=5e-4)


def test_tension_and_poses_are_the_judges(simulation: Simulation, recording: Recording) -> None:
    judge = context_record(simulation.machine.context)["stations"][0]["judge"]
    seen = judge["tension_first"]
    assert recording.rows["tension_n"].min() == pytest.approx(float(seen["min_n"]))
    assert recording.rows["tension_n"].max() == pytest.approx(float(seen["max_n"]))
    largest = np.abs(recording.edges_m).max()
    assert largest == pytest.approx(float(judge["overlay_max_m"]))


def test_a_sheet_is_pressed_by_one_arm_at_a_time(recording: Recording) -> None:
    pressed = recording.rows["pressed"]
    assert not (pressed[:, 0] & pressed[:, 1]).any()
    assert pressed.any(axis=0).all()


def test_its_pictures_name_their_limits(recording: Recording) -> None:
    fold = draw_fold(recording, first=4)
    assert "sheets 5 and 6" in fold.get_suptitle()
    assert [axis.get_ylabel() for axis in fold.axes[-2:]] == ["web tension, N", "from the end, µm"]
    tension = draw_tension(recording, recording, 3.0)
    assert "goal 20 %" in tension.axes[0].get_title()
    assert "9 sheets" in draw_overlay(recording).get_suptitle()
