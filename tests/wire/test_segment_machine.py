"""A whole cell over EtherCAT in lock-step: the same machine, seed and judge as the in-process simulator."""

from typing import Any

import numpy as np
import pytest

from controller.shared.commands import CommandCode
from controller.simulate import Simulation
from hal_sim.judge.figures import figures
from tests.wire.wired_machine import new_simulation, put_on_the_bus

SEED = 1
SAME_M = 4e-6  # a layer's place: what counts of 0.1 um and one more cycle of latency may change


def make_a_cell(simulation: Simulation) -> np.void:
    """Make one cell and return its record."""
    simulation.reset()
    simulation.command(CommandCode.START)
    simulation.run_until(lambda: len(simulation.records) >= 1, 120.0)
    return simulation.records[0]


def layers(record: np.void, name: str) -> np.ndarray:
    """A layer's measured pose, (layers, 2)."""
    found: np.ndarray = record["layers"][: int(record["layer_count"])][name]
    return found


@pytest.fixture(scope="module")
def cells() -> tuple[tuple[np.void, dict[str, Any]], tuple[np.void, dict[str, Any]]]:
    """(record, figures) of a cell without the bus, and of the same cell over it."""
    direct = new_simulation(SEED)
    plain = make_a_cell(direct)
    simulation = new_simulation(SEED)
    bus = put_on_the_bus(simulation)
    wired = make_a_cell(simulation)
    return (plain, figures(direct.machine.context)), (wired, figures(np.array(bus.body.plant)))


def test_a_cell_over_the_bus_is_as_good_as_one_without(cells: Any) -> None:
    (_, direct), (_, wired) = cells
    assert wired["cells_truly_good"] == 1 and wired["sheets"] == direct["sheets"]
    assert wired["violations"] == direct["violations"] == {}
    assert wired["s_per_sheet"] == pytest.approx(direct["s_per_sheet"], rel=0.005)
    near = (("overlay_mm", "sigma"), ("overlay_mm", "p99_7"), ("tension_n", "rms_deviation"))
    for group, name in near:
        assert wired[group][name] == pytest.approx(direct[group][name], rel=0.05), name


def test_it_is_the_same_cell_layer_by_layer(cells: Any) -> None:
    (direct, _), (wired, _) = cells
    for name in ("before_m", "after_m"):
        apart_m = layers(wired, name) - layers(direct, name)
        assert np.abs(apart_m).max() < SAME_M, name
