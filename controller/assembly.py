"""The machine put together: image, backend, state and plans. The only module that knows hal_sim."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from controller.runtime.loop_state import new_loop
from controller.shared.layout import MEMORY_DTYPE
from controller.shared.packml import Mode, State
from controller.shared.plan import PLAN_DTYPE
from controller.station.scan import scan
from controller.station.state import STATE_DTYPE
from drivers.image import IMAGE_DTYPE

PLAN_SLOTS_A_STATION = 2


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
        status = self.state[0]["machine"]
        status["station_count"], status["speed_override"] = self.station_count, 1.0
        status["state"], status["mode"] = State.STOPPED, Mode.PRODUCTION


def new_plans(station_count: int) -> NDArray[np.void]:
    """Return empty plan slots, two a station."""
    return np.zeros(PLAN_SLOTS_A_STATION * station_count, PLAN_DTYPE)
