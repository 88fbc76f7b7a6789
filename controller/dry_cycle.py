"""The dry cycle: a machine built and run once in virtual time, so that all it needs is compiled.

`python -m controller.dry_cycle --config F --plant F --part P` does so in this build's cache folder and names
each function on standard output; it is the compile gate's subprocess.
"""

import argparse
import sys
from enum import StrEnum
from pathlib import Path

from controller.runtime.compile_gate import COMPILING, enter
from controller.settings.fieldbus import load_topology
from controller.settings.loader import load_machine, load_settings
from controller.settings.machine import MachineSettings
from controller.settings.plant import PlantSettings


class Part(StrEnum):
    """What a process needs compiled: the core with one of its backends, or virtual hardware."""

    SIMULATOR = "simulator"
    ETHERCAT = "ethercat"
    LOCKSTEP = "lockstep"
    VIRTUAL_BUS = "virtual-bus"


def run_dry_cycle(
    settings: MachineSettings, plant: PlantSettings, part: Part = Part.SIMULATOR
) -> list[str]:
    """Run one cycle on a machine of its own and return the names of the functions compiled for it."""
    from controller.runtime.dispatchers import compilations

    compiled: list[str] = []
    with compilations(compiled.append):
        _run_once(settings, plant, part)
    return compiled


def _run_once(settings: MachineSettings, plant: PlantSettings, part: Part) -> None:
    from controller import assembly
    from controller.runtime.virtual import run_virtual

    if part is Part.VIRTUAL_BUS:
        assembly.warm_virtual_bus(settings, plant)
        return
    plans = assembly.new_plans(len(settings.stations))
    if part is Part.SIMULATOR:
        machine = assembly.build_simulated(settings, plant, plans, 1)
    elif part is Part.LOCKSTEP:
        machine = assembly.build_lockstep(settings, plant, plans, 1)
    else:
        machine = assembly.build_unconnected(settings, load_topology(settings), plans)
    run_virtual(machine, 1)


def warm_up_command(config: Path, plant: Path, part: Part = Part.SIMULATOR) -> list[str]:
    """Return the command that fills the cache folder for these settings."""
    module = [sys.executable, "-m", "controller.dry_cycle"]
    return [*module, "--config", str(config), "--plant", str(plant), "--part", part]


def main() -> int:
    """Compile into this build's cache folder; return the exit status."""
    parser = argparse.ArgumentParser(prog="controller.dry_cycle")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--plant", type=Path, required=True)
    parser.add_argument("--part", type=Part, choices=list(Part), default=Part.SIMULATOR)
    arguments = parser.parse_args()
    enter(arguments.part)
    settings, plant = load_machine(arguments.config), load_settings(arguments.plant, PlantSettings)

    # Importing the loop compiles it, so the names must be listened for first.
    from controller.runtime.dispatchers import compilations

    with compilations(_tell):
        run_dry_cycle(settings, plant, arguments.part)
    return 0


def _tell(name: str) -> None:
    sys.stdout.write(f"{COMPILING}{name}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
