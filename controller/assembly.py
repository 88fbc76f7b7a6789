"""The machine put together: image, backend, state and plans. The only module that knows hal_sim."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from controller.runtime.loop_state import new_loop
from controller.shared.layout import MEMORY_DTYPE, PLAN_SLOTS
from controller.shared.plan import PLAN_DTYPE
from controller.station.scan import scan
from controller.station.state import STATE_DTYPE
from drivers.image import IMAGE_DTYPE


@dataclass
class Machine:
    """All records of one machine, and the two functions that work on them."""

    exchange: Any
    context: NDArray[np.uint8]
    plans: NDArray[np.void]
    station_count: int
    period_ns: int
    scan: Any = scan
    image: NDArray[np.void] = field(default_factory=lambda: np.zeros(1, IMAGE_DTYPE))
    state: NDArray[np.void] = field(default_factory=lambda: np.zeros(1, STATE_DTYPE))
    memory: Any = field(default_factory=lambda: np.zeros((), MEMORY_DTYPE))
    loop: NDArray[np.void] = field(init=False)

    def __post_init__(self) -> None:
        self.loop = new_loop(self.station_count, self.period_ns)
        inputs = self.image[0]["inputs"]
        inputs["station_count"], inputs["period_ns"] = self.station_count, self.period_ns


def new_plans(station_count: int) -> NDArray[np.void]:
    """Return empty plan slots, two a station."""
    return np.zeros(PLAN_SLOTS * station_count, PLAN_DTYPE)


def build_simulated(
    station_count: int,
    period_ns: int,
    plant: Mapping[str, Any],
    plans: NDArray[np.void],
    seed: int,
) -> Machine:
    """Build a machine whose hardware is the simulator.

    plant: the dumped plant file; plans: PLAN_DTYPE, slots 2 i and 2 i + 1 of station i.
    """
    from hal_sim.context import make_context
    from hal_sim.exchange import exchange

    context = make_context(plant, station_count, period_ns, seed)
    return Machine(exchange, context, plans, station_count, period_ns)


def simulated_figures(machine: Machine) -> dict[str, Any]:
    """Return what the judge measured on a simulated machine."""
    from hal_sim.judge.figures import figures

    return figures(machine.context)
