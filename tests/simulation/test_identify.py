"""The commissioning of a table's mode: asked for, measured, fitted, kept, and taken by the planner."""

from pathlib import Path

import numpy as np
import pytest

from controller.commission import Commissioner, NotCommissioned
from controller.planning.cycle_plan import CyclePlan, make_plan
from controller.planning.identified import keep_mode, with_identified_modes
from controller.planning.identify import identify
from controller.planning.identify_command import response_of
from controller.planning.identify_picture import draw_mode
from controller.settings.loader import load_machine, load_recipe, load_settings
from controller.settings.plant import PlantSettings
from controller.shared.commands import CommandCode as Code
from controller.shared.packml import Mode, State
from controller.simulate import Simulation
from hal_sim.judge.figures import first_violations

CONFIG = Path(__file__).resolve().parents[2] / "config"
MACHINE = load_machine(CONFIG / "machine.yaml")
PLANT = load_settings(CONFIG / "plant.yaml", PlantSettings)
RECIPE = load_recipe(CONFIG / "recipes" / "reference.yaml")
BELIEVED_HZ = MACHINE.stations[0].table_mode.frequency_hz


@pytest.fixture(scope="module")
def plan() -> CyclePlan:
    """The plan of the machine as it is believed to be."""
    return make_plan(MACHINE, RECIPE)


def _simulation(plan: CyclePlan, hertz: float, damping: float = 0.03) -> Simulation:
    table = PLANT.table.model_copy(update={"mode_frequency_hz": hertz, "mode_damping": damping})
    plant = PLANT.model_copy(update={"table": table})
    simulation = Simulation(MACHINE, plant, RECIPE, seed=7, plan=plan)
    simulation.reset()
    return simulation


@pytest.mark.parametrize("hertz", [40.5, 43.0, 45.0, 49.5])
@pytest.mark.parametrize("damping", [0.02, 0.04])
def test_a_mode_within_ten_per_cent_is_found_within_one(
    plan: CyclePlan, hertz: float, damping: float
) -> None:
    simulation = _simulation(plan, hertz, damping)
    samples = Commissioner(simulation.view, simulation.run).measure(0)
    mode = identify(response_of(samples), BELIEVED_HZ)
    assert mode.frequency_hz == pytest.approx(hertz, rel=0.01)
    assert abs(mode.frequency_hz / hertz - 1.0) < mode.tolerance
    assert mode.damping == pytest.approx(damping, abs=0.012)
    # the machine stands as it was found
    assert simulation.state == State.IDLE
    assert int(simulation.machine.state[0]["machine"]["mode"]) == Mode.PRODUCTION
    assert first_violations(simulation.machine.context) == []


def test_missed_periods_leave_the_longest_stretch(plan: CyclePlan) -> None:
    simulation = _simulation(plan, 46.0)
    samples = Commissioner(simulation.view, simulation.run).measure(0)
    late = samples["time_ns"].copy()
    late[1500:] += 3_000_000
    samples["time_ns"] = late
    response = response_of(samples)
    assert response.position_m.size == len(samples) - 1500
    assert identify(response, BELIEVED_HZ).frequency_hz == pytest.approx(46.0, rel=0.01)
    samples["time_ns"] += np.arange(len(samples)) // 500 * 1_000_000
    with pytest.raises(NotCommissioned, match="without a missed period"):
        response_of(samples)


def test_a_machine_at_work_is_not_measured(plan: CyclePlan) -> None:
    simulation = _simulation(plan, 45.0)
    simulation.command(Code.START)
    with pytest.raises(NotCommissioned, match="bring it to IDLE"):
        Commissioner(simulation.view, simulation.run).measure(0)


def test_a_stop_ends_the_measurement(plan: CyclePlan) -> None:
    simulation = _simulation(plan, 45.0)

    def stop_soon(seconds: float) -> None:
        simulation.run(seconds)
        if float(simulation.station()["axes"][0]["velocity_m_s"]) < -0.5:
            simulation.view.send(Code.STOP)

    with pytest.raises(NotCommissioned):
        Commissioner(simulation.view, stop_soon).measure(0)
    simulation.run_until(lambda: simulation.state == State.STOPPED, 2.0)
    simulation.reset()
    assert first_violations(simulation.machine.context) == []


def test_what_is_kept_is_planned_with(plan: CyclePlan, tmp_path: Path) -> None:
    simulation = _simulation(plan, 48.0)
    samples = Commissioner(simulation.view, simulation.run).measure(0)
    response = response_of(samples)
    mode = identify(response, BELIEVED_HZ)
    keep_mode(tmp_path, MACHINE, 0, mode)
    settings, words = with_identified_modes(MACHINE, tmp_path)
    believed = settings.stations[0].table_mode
    assert believed.frequency_hz == mode.frequency_hz
    assert believed.tolerance == mode.tolerance < MACHINE.stations[0].table_mode.tolerance
    assert "identified mode 4" in words[0]
    # a mode that is known needs less care: the cell is made faster
    assert make_plan(settings, RECIPE).times.period_s < plan.times.period_s
    draw_mode(response, mode, BELIEVED_HZ, tmp_path / "mode.png")
    assert (tmp_path / "mode.png").stat().st_size > 10_000


def test_a_mode_of_a_machine_that_was_changed_is_ignored(plan: CyclePlan, tmp_path: Path) -> None:
    simulation = _simulation(plan, 45.0)
    samples = Commissioner(simulation.view, simulation.run).measure(0)
    keep_mode(tmp_path, MACHINE, 0, identify(response_of(samples), BELIEVED_HZ))
    station = MACHINE.stations[0]
    other = station.table_mode.model_copy(update={"frequency_hz": 55.0})
    changed = MACHINE.model_copy(
        update={"stations": (station.model_copy(update={"table_mode": other}),)}
    )
    settings, words = with_identified_modes(changed, tmp_path)
    assert settings.stations[0].table_mode == other
    assert "identify again" in words[0]
