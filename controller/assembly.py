"""The machine put together: image, backend, state and plans. The only module that knows hal_sim."""

from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from controller.runtime.loop_state import new_loop
from controller.settings.document import SettingsError
from controller.settings.machine import MachineSettings
from controller.settings.plant import PlantSettings
from controller.shared.layout import PLAN_SLOTS
from controller.shared.plan import PLAN_DTYPE
from controller.shared.view import private_memory
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
    memory: Any = field(init=False)
    loop: NDArray[np.void] = field(init=False)

    def __post_init__(self) -> None:
        self.memory = private_memory(self.station_count, self.period_ns)
        self.loop = new_loop(self.station_count, self.period_ns)
        inputs = self.image[0]["inputs"]
        inputs["station_count"], inputs["period_ns"] = self.station_count, self.period_ns


def new_plans(station_count: int) -> NDArray[np.void]:
    """Return empty plan slots, two a station."""
    return np.zeros(PLAN_SLOTS * station_count, PLAN_DTYPE)


def build_simulated(
    machine: MachineSettings,
    plant: PlantSettings,
    plans: NDArray[np.void],
    seed: int,
    faults: Path | None = None,
) -> Machine:
    """Build a machine whose hardware is the simulator.

    plans: PLAN_DTYPE, slots 2 i and 2 i + 1 of station i; faults: a YAML list of scheduled faults.
    """
    from hal_sim.context import make_context
    from hal_sim.exchange import exchange

    station_count, period_ns = len(machine.stations), machine.period_us * 1000
    context = make_context(plant.model_dump(), station_count, period_ns, seed)
    if faults is not None:
        _schedule_faults(context, faults)
    built = Machine(exchange, context, plans, station_count, period_ns)
    built.loop[0]["overruns_in_a_row_max"] = machine.overruns_in_a_row_max
    return built


def _schedule_faults(context: NDArray[np.uint8], path: Path) -> None:
    from hal_sim.faults import Fault, FaultKind, schedule_faults

    entries = yaml.safe_load(path.read_text()) or []
    try:
        parsed = [Fault(**{**entry, "kind": FaultKind[entry["kind"].upper()]}) for entry in entries]
        schedule_faults(context, parsed)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise SettingsError([f"{path}: {error}; kinds: {_names(FaultKind)}"]) from None


def _names(kinds: type[IntEnum]) -> str:
    return ", ".join(kind.name.lower() for kind in kinds)


def judge_figures(machine: Machine) -> dict[str, Any]:
    """Return what the judge measured on a simulated machine, as plain JSON values."""
    from hal_sim.judge.figures import figures

    return figures(machine.context)
