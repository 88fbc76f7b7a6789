"""What happened in a cell, period by period: setpoints as sent, and the truth that the judge sees."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from controller.shared.commands import CommandCode
from controller.simulate import Simulation
from drivers.image import AXIS_COUNT
from hal_sim.context import context_record

ROW_DTYPE = np.dtype(
    [
        ("time_s", np.float64),
        ("target_m", np.float64, (AXIS_COUNT,)),
        ("load_m", np.float64),
        ("deflection_m", np.float64),
        ("tension_n", np.float64),
        ("sheets", np.int32),
        ("pressed", np.uint8, (2,)),  # an arm's sheet between touch-down and release
    ],
    align=True,
)
CELL_WITHIN_S = 300.0


@dataclass(frozen=True)
class Recording:
    """One cell from its first to its last sheet.

    rows: of ROW_DTYPE, one a period; poses: (sheets, 3), m and rad on the stack; edges_m: (sheets, 4).
    """

    cell: int
    rows: NDArray[np.void]
    poses: NDArray[np.float64]
    edges_m: NDArray[np.float64]


def record_cells(simulation: Simulation, cells: Sequence[int], sheets: int) -> list[Recording]:
    """Start a machine and record some of its cells, counted from 1, of `sheets` sheets each."""
    simulation.reset()
    simulation.command(CommandCode.SET_CELLS, value=float(max(cells)))
    simulation.command(CommandCode.START)
    return [_record(simulation, cell, sheets) for cell in sorted(cells)]


def _record(simulation: Simulation, cell: int, sheets: int) -> Recording:
    station = context_record(simulation.machine.context)["stations"][0]
    judge = station["judge"]

    def begun() -> bool:
        return int(judge["cell"]) == cell and int(judge["layer_count"]) >= 1

    simulation.run_until(begun, cell * CELL_WITHIN_S)
    period_s = simulation.machine.period_ns * 1e-9
    rows = []
    while int(judge["layer_count"]) < sheets:
        simulation.run(period_s)
        rows.append(_row(simulation, station))
    layers = judge["layers"][:sheets]
    return Recording(
        cell, np.array(rows, ROW_DTYPE), layers["pose"].copy(), layers["edge_m"].copy()
    )


def _row(simulation: Simulation, station: Any) -> tuple[Any, ...]:
    outputs = simulation.machine.image[0]["outputs"]["stations"][0]
    arms = station["judge"]["arms"]
    pressed = arms["touching"] & (1 - arms["done"]) & arms["with_sheet"]
    return (
        simulation.virtual_s,
        outputs["axes"]["target_position_m"].copy(),
        float(station["load_m"]),
        float(station["deflection_m"]),
        float(station["web"]["tension_n"]),
        int(station["judge"]["layer_count"]),
        pressed,
    )
