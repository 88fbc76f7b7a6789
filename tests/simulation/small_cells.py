"""Small cells for the tests of whole runs: a few sheets, so that a cell takes seconds of virtual time."""

from collections.abc import Sequence
from pathlib import Path

from controller.settings.loader import load_machine, load_recipe, load_settings
from controller.settings.machine import MachineSettings
from controller.settings.plant import PlantSettings
from controller.shared.commands import CommandCode, CommandResult
from controller.shared.packml import State
from controller.simulate import Simulation
from hal_sim.faults import Fault, schedule_faults

CONFIG = Path(__file__).resolve().parents[2] / "config"
CELL_SECONDS_MAX = 60.0


def small_machine(
    machine: str = "machine.yaml",
    plant: str = "plant.yaml",
    recipe: str = "recipes/reference.yaml",
    cathodes: int = 4,
    seed: int = 1,
    faults: Sequence[Fault] = (),
    quiet: bool = False,
    mode_tolerance: float | None = None,
) -> Simulation:
    """A simulation of shipped files, its recipe cut down; `quiet`: nothing goes wrong by chance.

    `mode_tolerance` is how well the table's mode is known, where it is not what the file says.
    """
    truth = load_settings(CONFIG / plant, PlantSettings)
    if quiet:
        vacuum = truth.vacuum.model_copy(update={"miss_share": 0.0, "double_share": 0.0})
        truth = truth.model_copy(update={"vacuum": vacuum})
    short = load_recipe(CONFIG / recipe).model_copy(update={"cathodes": cathodes})
    settings = load_machine(CONFIG / machine)
    if mode_tolerance is not None:
        settings = _known_to(settings, mode_tolerance)
    simulation = Simulation(settings, truth, short, seed)
    schedule_faults(simulation.machine.context, faults)
    return simulation


def _known_to(settings: MachineSettings, tolerance: float) -> MachineSettings:
    station = settings.stations[0]
    mode = station.table_mode.model_copy(update={"tolerance": tolerance})
    stations = (station.model_copy(update={"table_mode": mode}), *settings.stations[1:])
    return settings.model_copy(update={"stations": stations})


def order(simulation: Simulation, code: CommandCode, value: float = 0.0) -> None:
    """Give a command that must be accepted."""
    assert simulation.command(code, value) == CommandResult.ACCEPTED, (
        code.name,
        simulation.where(),
    )


def reach(simulation: Simulation, state: State, seconds: float = 30.0) -> None:
    """Run on until the machine is in a state."""
    simulation.run_until(lambda: simulation.state == state, seconds)


def abort(simulation: Simulation) -> None:
    """Abort, and clear up to Stopped."""
    order(simulation, CommandCode.ABORT)
    reach(simulation, State.ABORTED)
    order(simulation, CommandCode.CLEAR)
    reach(simulation, State.STOPPED)


def produce(simulation: Simulation, cells: int) -> None:
    """Come to Execute with a number of cells to make."""
    simulation.reset()
    order(simulation, CommandCode.SET_CELLS, float(cells))
    order(simulation, CommandCode.START)


def finish(simulation: Simulation, cells: int) -> None:
    """Run on until every cell is made."""
    simulation.run_until(
        lambda: simulation.state == State.COMPLETE, CELL_SECONDS_MAX * cells, step_s=0.1
    )
