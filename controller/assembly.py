"""The machine put together: image, backend, state and plans. The only module that knows hal_sim."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from controller.runtime.loop_state import new_loop
from controller.settings.document import SettingsError
from controller.settings.faults import FaultSettings
from controller.settings.fieldbus import load_topology
from controller.settings.machine import MachineSettings
from controller.settings.plant import PlantSettings
from controller.shared.layout import PLAN_SLOTS
from controller.shared.plan import PLAN_DTYPE
from controller.shared.view import private_memory
from controller.station.scan import scan
from controller.station.state import STATE_DTYPE
from drivers.ethercat.link import LINK_DTYPE, make_link
from drivers.ethercat.topology import Topology
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
    plant: NDArray[np.uint8] | None = None  # the simulator's context, where there is one
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
    faults: Sequence[FaultSettings] = (),
) -> Machine:
    """Build a machine whose hardware is the simulator.

    plans: PLAN_DTYPE, slots 2 i and 2 i + 1 of station i. SettingsError names a fault that cannot be.
    """
    from hal_sim.context import make_context
    from hal_sim.exchange import exchange

    station_count, period_ns = len(machine.stations), machine.period_us * 1000
    context = make_context(plant.model_dump(), station_count, period_ns, seed)
    _schedule_faults(context, faults)
    return _build(machine, exchange, context, plans, context)


def build_lockstep(
    machine: MachineSettings, plant: PlantSettings, plans: NDArray[np.void], seed: int
) -> Machine:
    """Build a machine on EtherCAT in lock-step with virtual slaves in memory, all of them in OP."""
    from hal_sim.context import make_context
    from hal_sim.ethercat.lockstep import Lockstep
    from hal_sim.ethercat.lockstep_machine import exchange
    from hal_sim.exchange import exchange as plant_exchange

    topology = load_topology(machine)
    context = make_context(plant.model_dump(), len(machine.stations), topology.period_ns, seed)
    bus = Lockstep(topology, plant_exchange, plant=context)
    bus.bring_up()
    return _build(machine, exchange, bus.context, plans, bus.body.plant)


def build_on_bus(
    machine: MachineSettings, link: NDArray[np.uint8], plans: NDArray[np.void]
) -> Machine:
    """Build a machine on an EtherCAT bus; `link` is the exchange's context."""
    from drivers.ethercat.exchange import exchange

    built = _build(machine, exchange, link, plans, None)
    built.loop[0]["steered"] = link.view(LINK_DTYPE)[0]["distributed_clock"]
    return built


def build_unconnected(
    machine: MachineSettings, topology: Topology, plans: NDArray[np.void]
) -> Machine:
    """Build a machine on a bus that nothing answers on."""
    return build_on_bus(machine, make_link(topology), plans)


def _build(
    machine: MachineSettings,
    exchange: Any,
    context: NDArray[np.uint8],
    plans: NDArray[np.void],
    plant: NDArray[np.uint8] | None,
) -> Machine:
    stations, period_ns = len(machine.stations), machine.period_us * 1000
    built = Machine(exchange, context, plans, stations, period_ns, plant=plant)
    built.loop[0]["overruns_in_a_row_max"] = machine.overruns_in_a_row_max
    return built


def warm_virtual_bus(machine: MachineSettings, plant: PlantSettings) -> None:
    """Compile what virtual hardware needs."""
    from hal_sim.context import make_context
    from hal_sim.ethercat.body import make_body
    from hal_sim.ethercat.station import warm
    from hal_sim.exchange import exchange

    topology = load_topology(machine)
    context = make_context(plant.model_dump(), len(machine.stations), topology.period_ns, 1)
    warm(make_body(topology, plant=context), exchange)


def serve_virtual_bus(
    machine: MachineSettings,
    plant: PlantSettings,
    seed: int,
    interface: str,
    *,
    report: Callable[[str], None],
    ready: Callable[[], object],
    set_up: Callable[[], object],
    follow: bool,
) -> dict[str, Any]:
    """Be the machine's hardware on an interface until SIGINT or SIGTERM; returns the judge's figures.

    Its Modbus devices listen where the machine file expects them; `set_up` is called in the thread that
    answers frames; with `follow` the machine's time follows the controller's cycles.
    """
    from hal_sim.context import make_context
    from hal_sim.ethercat.command import serve_bus
    from hal_sim.judge.figures import figures

    topology = load_topology(machine, interface)
    context = make_context(plant.model_dump(), len(machine.stations), topology.period_ns, seed)
    places = [(d.station, d.reading, d.host, d.port) for d in machine.modbus]
    body = serve_bus(
        topology,
        interface,
        plant=context,
        places=places,
        report=report,
        ready=ready,
        set_up=set_up,
        follow=follow,
        seed=seed,
    )
    return figures(np.array(body.plant))


def virtual_wire(master: str, slaves: str) -> None:
    """Make a pair of connected interfaces, with loopback up beside them."""
    from hal_sim.ethercat.virtual_wire import make_veth, set_link

    set_link("lo", up=True)
    make_veth(master, slaves)


def _schedule_faults(context: NDArray[np.uint8], faults: Sequence[FaultSettings]) -> None:
    from hal_sim.faults import Fault, FaultKind, schedule_faults

    kinds = {kind.name.lower(): kind for kind in FaultKind}
    unknown = [f"fault kind = {f.kind}: none of {', '.join(kinds)}; write one" for f in faults
               if f.kind not in kinds]  # fmt: skip
    if unknown:
        raise SettingsError(unknown)
    try:
        schedule_faults(
            context,
            [Fault(**{**fault.model_dump(), "kind": kinds[fault.kind]}) for fault in faults],
        )
    except ValueError as error:
        raise SettingsError([str(error)]) from None


def judge_figures(machine: Machine) -> dict[str, Any]:
    """Return what the judge measured on a simulated machine, as plain JSON values; else nothing."""
    from hal_sim.judge.figures import figures

    return {} if machine.plant is None else figures(machine.plant)


def judged_cells(machine: Machine) -> list[dict[str, Any]]:
    """Return the unloaded cells that the judge still keeps, each with what it truly was."""
    from hal_sim.judge.figures import judge_cells

    return [] if machine.plant is None else judge_cells(machine.plant)
