"""The whole machine over EtherCAT in lock-step, cycle by cycle, and what its slow path does."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from controller.runtime.virtual import run_virtual
from controller.settings.loader import load_machine, load_recipe, load_settings
from controller.settings.plant import PlantSettings
from controller.shared.alarms import AlarmId
from controller.shared.commands import CommandCode, CommandResult
from controller.shared.packml import State
from controller.simulate import Simulation
from drivers.ethercat.link import place
from drivers.ethercat.protocol import AlState, Register
from drivers.ethercat.topology import stacker_topology
from drivers.image import AXIS_COUNT, BusState
from hal_sim.ethercat import lockstep_machine
from hal_sim.ethercat.faults import Fault, install_faults
from hal_sim.ethercat.lockstep import Lockstep
from hal_sim.exchange import exchange as plant_exchange
from hal_sim.judge.figures import figures

CONFIG = Path(__file__).parents[2] / "config"
SETTLE_S = 30.0


def undisturbed(plant: PlantSettings) -> PlantSettings:
    """All noise on, but no pick misses, double sheets or failed pictures: recoveries would differ."""
    camera = plant.sheet_camera.model_copy(
        update={"failure_share": 0.0, "late_share": 1e-6, "latency_median_s": 0.02}
    )
    vacuum = plant.vacuum.model_copy(update={"miss_share": 0.0, "double_share": 0.0})
    return plant.model_copy(update={"sheet_camera": camera, "vacuum": vacuum})


def new_simulation(seed: int) -> Simulation:
    """The reference machine on the in-process simulator, without disturbances."""
    plant = undisturbed(load_settings(CONFIG / "plant.yaml", PlantSettings))
    recipe = load_recipe(CONFIG / "recipes" / "reference.yaml")
    return Simulation(load_machine(CONFIG / "machine.yaml"), plant, recipe, seed)


def put_on_the_bus(simulation: Simulation) -> Lockstep:
    """Let a simulation's machine speak EtherCAT, every slave in OP."""
    built = simulation.machine
    bus = Lockstep(stacker_topology(1), plant_exchange, plant=np.array(built.context))
    bus.bring_up()
    built.exchange, built.context = lockstep_machine.exchange, bus.context
    return bus


class WiredMachine:
    """A simulation over the bus, with the operator's and the slow path's hands."""

    def __init__(self, seed: int) -> None:
        self.simulation = new_simulation(seed)
        self.bus = put_on_the_bus(self.simulation)

    # -- what is so

    @property
    def state(self) -> State:
        return self.simulation.state

    @property
    def bus_state(self) -> BusState:
        return BusState(int(self.simulation.machine.image[0]["inputs"]["bus"]["state"]))

    @property
    def alarms(self) -> set[AlarmId]:
        return {
            AlarmId(int(n)) for n in np.flatnonzero(self.simulation.station()["status"]["alarms"])
        }

    @property
    def first_out(self) -> AlarmId:
        return AlarmId(int(self.simulation.station()["status"]["first_out"]))

    @property
    def violations(self) -> dict[str, int]:
        found: dict[str, int] = figures(np.array(self.bus.body.plant))["violations"]
        return found

    def counted(self, name: str) -> int:
        return int(self.bus.link[name])

    def reported(self) -> bytes:
        """What the bus brings of the station: axes, vacuum and web, as bytes."""
        inputs = self.simulation.machine.image[0]["inputs"]["stations"][0]
        return (
            inputs["axes"].tobytes() + inputs["vacuum_pa"].tobytes() + inputs["tension_n"].tobytes()
        )

    def drive_targets(self) -> np.ndarray:
        """The position targets that the drives last heard, (AXIS_COUNT,) in increments."""
        drives = self.bus.body.slaves[:AXIS_COUNT]
        places = drives["drive"]["target_position"][:, None] + np.arange(4)
        heard = np.take_along_axis(drives["values"], places, axis=1)
        return np.ascontiguousarray(heard).view(np.int32)[:, 0]

    def vacuum_on(self) -> np.ndarray:
        """The vacuum valves as they are, (4,)."""
        valves: np.ndarray = self.bus.body.image["outputs"]["stations"][0]["vacuum_on"]
        return valves.copy()

    # -- what happens

    def fail(self, faults: Sequence[Fault]) -> None:
        """Let faults begin with the next cyclic frame."""
        wire = self.bus.body.wire
        now = int(wire["cyclic_frames"])
        install_faults(wire, [replace(fault, first=now + fault.first) for fault in faults])

    def cycle(self) -> None:
        run_virtual(self.simulation.machine, 1)

    def order(self, code: CommandCode) -> None:
        assert self.simulation.command(code) == CommandResult.ACCEPTED, (
            code.name, self.simulation.where(),
        )  # fmt: skip

    def reach(self, state: State) -> None:
        self.simulation.run_until(lambda: self.state == state, SETTLE_S)

    def stack(self, sheets: int) -> None:
        """Go on until this many more sheets are laid."""
        status = self.simulation.station()["status"]
        wanted = int(status["sheets_total"]) + sheets
        self.simulation.run_until(
            lambda: int(self.simulation.station()["status"]["sheets_total"]) >= wanted, SETTLE_S
        )

    def restore_slaves(self) -> None:
        """One pass of the slow path: acknowledge, ask for OP, configure anew who was without power."""
        slaves, topology = self.bus.acyclic, self.bus.topology
        places = place(topology.slaves)
        for position, setup in enumerate(topology.slaves):
            state = slaves.word(position, Register.AL_STATUS) & 0x0F
            if state == AlState.INIT:
                self.bus.configure(position, setup, places[position])
            elif state == AlState.SAFEOP:
                self.bus.request(position, AlState.SAFEOP)
                self.bus.request(position, AlState.OP)
