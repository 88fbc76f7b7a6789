"""Virtual hardware as a process: the simulated machine behind EtherCAT frames and Modbus servers.

`python -m controller.virtual_bus --config F --plant F --veth A B`, started by the supervisor or by
`foldline sim-bus`. Frames are answered as they come; the plant goes on whether any come or not.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from controller.child import EXIT_REFUSED, come_first, follow_parent
from controller.dry_cycle import Part, warm_up_command
from controller.runtime import compile_gate
from controller.settings.document import SettingsError
from controller.settings.loader import load_machine, load_settings
from controller.settings.plant import PlantSettings

PRIORITY_BELOW_CORE = 1


def serve(
    config: Path,
    plant: Path,
    seed: int,
    wire: tuple[str, ...],
    say: Callable[[str], None],
    ready: Callable[[], object] = lambda: None,
    *,
    follow: bool = False,
) -> dict[str, object]:
    """Be the hardware of a machine file until SIGINT or SIGTERM; returns the judge's figures.

    With `follow` the plant's time follows the master's cycles: a computer that misses periods does not
    jolt the machine. Without, it keeps its own time, as hardware does.

    wire: (interface,) that exists, or (master, slaves) of a veth pair to be made. SettingsError, or
    TopologyError where the interface cannot be used, say what is wrong.
    """
    machine, simulated = load_machine(config), load_settings(plant, PlantSettings)
    folder = compile_gate.enter(Part.VIRTUAL_BUS)
    if not folder.warm:
        say("compiling for this processor; this happens once")
    compile_gate.warm_up(folder, warm_up_command(config, plant, Part.VIRTUAL_BUS))

    # numba may be imported only now that the gate has set its environment.
    from controller.assembly import serve_virtual_bus, virtual_wire
    from controller.runtime.real_time import pin, schedule

    def set_up() -> None:
        asked = machine.real_time
        pin(asked.core_cpu)  # the loop waits while its frame is answered
        if asked.priority > PRIORITY_BELOW_CORE:
            schedule(asked.priority - PRIORITY_BELOW_CORE)

    if refused := come_first():
        say(refused)
    if len(wire) == 2:
        virtual_wire(*wire)
    return serve_virtual_bus(
        machine, simulated, seed, wire[-1],
        report=say, ready=ready, set_up=set_up, follow=follow,
    )  # fmt: skip


def main() -> int:
    """Serve for a supervisor; return the exit status."""
    parser = argparse.ArgumentParser(prog="controller.virtual_bus")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--plant", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--veth", nargs=2, required=True)
    parser.add_argument("--ready-fd", type=int, required=True)
    parser.add_argument("--result-fd", type=int, required=True)
    arguments = parser.parse_args()
    follow_parent()

    def ready() -> None:
        os.write(arguments.ready_fd, b"1")

    wire = tuple(arguments.veth)
    try:
        figures = serve(
            arguments.config, arguments.plant, arguments.seed, wire, _say, ready, follow=True
        )
    except (OSError, SettingsError, ValueError) as error:
        _say(str(error))
        return EXIT_REFUSED
    with os.fdopen(arguments.result_fd, "w") as file:
        json.dump(figures, file)
    return 0


def _say(text: str) -> None:
    sys.stderr.write(f"virtual bus: {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
