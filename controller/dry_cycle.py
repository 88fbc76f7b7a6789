"""The dry cycle: a machine built and run once in virtual time, so that all it needs is compiled.

`python -m controller.dry_cycle --config F --plant F` does so in this build's cache folder and names
each function on standard output; it is the compile gate's subprocess.
"""

import argparse
import sys
from pathlib import Path

from controller.runtime.compile_gate import COMPILING, enter
from controller.settings.loader import load_machine, load_settings
from controller.settings.machine import MachineSettings
from controller.settings.plant import PlantSettings


def run_dry_cycle(settings: MachineSettings, plant: PlantSettings) -> list[str]:
    """Run one cycle on a machine of its own and return the names of the functions compiled for it."""
    from controller.assembly import build_simulated, new_plans
    from controller.runtime.dispatchers import compilations
    from controller.runtime.virtual import run_virtual

    compiled: list[str] = []
    with compilations(compiled.append):
        run_virtual(build_simulated(settings, plant, new_plans(len(settings.stations)), 1), 1)
    return compiled


def warm_up_command(config: Path, plant: Path) -> list[str]:
    """Return the command that fills the cache folder for these settings."""
    module = [sys.executable, "-m", "controller.dry_cycle"]
    return [*module, "--config", str(config), "--plant", str(plant)]


def main() -> int:
    """Compile into this build's cache folder; return the exit status."""
    parser = argparse.ArgumentParser(prog="controller.dry_cycle")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--plant", type=Path, required=True)
    arguments = parser.parse_args()
    enter()
    settings, plant = load_machine(arguments.config), load_settings(arguments.plant, PlantSettings)

    # Importing the loop compiles it, so the names must be listened for first.
    from controller.runtime.dispatchers import compilations

    with compilations(_tell):
        run_dry_cycle(settings, plant)
    return 0


def _tell(name: str) -> None:
    sys.stdout.write(f"{COMPILING}{name}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
