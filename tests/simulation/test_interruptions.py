"""Stop, hold, abort and restart at any instant of a cell, without a violation.

One cell runs through; at each seeded instant the whole machine is kept, interrupted, brought back to
production, and put back as it was.
"""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from controller.assembly import judge_figures
from controller.settings.loader import load_machine, load_recipe, load_settings
from controller.settings.plant import PlantSettings
from controller.shared.commands import CommandCode
from controller.shared.packml import State
from controller.shared.records import RejectReason, Verdict
from controller.simulate import Simulation
from hal_sim.judge.figures import first_violations
from tests.simulation.small_cells import abort, order, reach

CONFIG = Path(__file__).resolve().parents[2] / "config"
INSTANTS = 200
SEED = 20
CELL_S = 31.0
SETTLE_S = 20.0
STACK_AGAIN = 3


def _simulation() -> Simulation:
    return Simulation(
        load_machine(CONFIG / "machine.yaml"),
        load_settings(CONFIG / "plant.yaml", PlantSettings),
        load_recipe(CONFIG / "recipes" / "reference.yaml"),
        seed=SEED,
    )


def _stack_on(simulation: Simulation) -> None:
    """The next sheets are laid, or the cell is finished."""
    before = int(simulation.station()["status"]["sheets_total"])

    def stacked() -> bool:
        return int(simulation.station()["status"]["sheets_total"]) >= before + STACK_AGAIN

    simulation.run_until(stacked, SETTLE_S)


def _start_again(simulation: Simulation) -> None:
    order(simulation, CommandCode.RESET)
    reach(simulation, State.IDLE)
    order(simulation, CommandCode.START)
    _stack_on(simulation)


def _hold(simulation: Simulation) -> None:
    cell = int(simulation.station()["record"]["cell"])
    order(simulation, CommandCode.HOLD)
    reach(simulation, State.HELD)
    simulation.run(0.3)
    order(simulation, CommandCode.UNHOLD)
    _stack_on(simulation)
    assert not any(
        int(record["cell"]) == cell and int(record["verdict"]) == Verdict.REJECTED
        for record in simulation.records
    )


def _suspend(simulation: Simulation) -> None:
    order(simulation, CommandCode.SUSPEND)
    reach(simulation, State.SUSPENDED)
    simulation.run(0.3)
    _stack_on(simulation)


def _stop(simulation: Simulation) -> None:
    open_before = bool(simulation.station()["cell_open"])
    kept = len(simulation.records)
    order(simulation, CommandCode.STOP)
    reach(simulation, State.STOPPED)
    simulation.run(0.01)
    if open_before and len(simulation.records) == kept + 1:
        reasons = int(simulation.records[-1]["reasons"])
        assert (
            reasons & RejectReason.STOPPED or int(simulation.records[-1]["verdict"]) == Verdict.GOOD
        )
    _start_again(simulation)


def _abort(simulation: Simulation) -> None:
    abort(simulation)
    _start_again(simulation)


INTERRUPTIONS: tuple[Callable[[Simulation], None], ...] = (_hold, _stop, _abort)


@pytest.fixture(scope="module")
def stacking() -> Simulation:
    simulation = _simulation()
    simulation.reset()
    order(simulation, CommandCode.START)
    return simulation


def test_two_hundred_interruptions_leave_no_violation(stacking: Simulation) -> None:
    draw = random.Random(SEED)
    instants = sorted(draw.uniform(0.0, CELL_S) for _ in range(INSTANTS))
    begun = stacking.virtual_s
    for number, instant in enumerate(instants):
        stacking.run(max(begun + instant - stacking.virtual_s, 1e-3))
        kept = stacking.save()
        interruption = INTERRUPTIONS[number % len(INTERRUPTIONS)]
        interruption(stacking)
        violations = judge_figures(stacking.machine)["violations"]
        first = first_violations(stacking.machine.context)
        assert not any(violations.values()), (interruption.__name__, instant, first)
        stacking.restore(kept)
    assert not any(judge_figures(stacking.machine)["violations"].values())
