"""A machine of another class, another cell and two stations: two cells each, and no rule broken."""

import numpy as np
import pytest

from controller.assembly import judge_figures
from controller.shared.records import Verdict
from controller.simulate import Simulation
from hal_sim.faults import Fault, FaultKind
from tests.simulation.small_cells import finish, produce, small_machine

CELLS = 2
VARIANTS = {
    "class A, pneumatic fingers": ("classes/machine_a.yaml", "classes/plant_a.yaml", "reference"),
    "125 x 300 mm": ("machine.yaml", "classes/plant_wide_125x300.yaml", "wide_125x300"),
}


def _verdicts(simulation: Simulation, station: int = 0) -> list[int]:
    return [int(r["verdict"]) for r in simulation.records if int(r["station"]) == station]


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_variant_makes_two_good_cells(variant: str) -> None:
    machine, plant, recipe = VARIANTS[variant]
    simulation = small_machine(machine, plant, f"recipes/{recipe}.yaml")
    produce(simulation, CELLS)
    finish(simulation, CELLS)
    figures = judge_figures(simulation.machine)
    assert figures["violations"] == {}
    assert _verdicts(simulation) == [Verdict.GOOD] * CELLS
    assert figures["cells_truly_good"] == CELLS


def test_a_table_whose_mode_is_known_moves_quicker_and_still_waits_for_the_arm() -> None:
    """Class D: the web comes sooner with the table, and the arm has to stand before it."""
    files = ("classes/machine_d.yaml", "classes/plant_d.yaml")
    believed = small_machine(*files)
    known = small_machine(*files, mode_tolerance=0.005)
    assert known.plans[0].times.period_s < believed.plans[0].times.period_s
    produce(known, 1)
    finish(known, 1)
    assert judge_figures(known.machine)["violations"] == {}


def test_two_stations_stack_each_in_its_own_phase() -> None:
    """What holds one station's master does not touch the other's."""
    miss = Fault(FaultKind.PICK_MISS, at_sheet=3, station=1, magnitude=2.0)
    machine = "classes/machine_two_stations.yaml"
    together = small_machine(machine, quiet=True)
    disturbed = small_machine(machine, quiet=True, faults=[miss])
    for simulation in (together, disturbed):
        produce(simulation, 2 * CELLS)
        finish(simulation, 2 * CELLS)
        assert judge_figures(simulation.machine)["violations"] == {}
        assert _verdicts(simulation, 0) == _verdicts(simulation, 1) == [Verdict.GOOD] * CELLS
    times = [
        [
            np.array([r["finished_ns"] for r in simulation.records if int(r["station"]) == station])
            for station in range(2)
        ]
        for simulation in (together, disturbed)
    ]
    assert np.array_equal(times[0][0], times[1][0])
    assert np.all(times[1][1] > times[0][1])
