"""The core process: compiled code through the gate, the machine built, the loop on its thread.

`python -m controller.core --memory-fd N --result-fd M --config F --plant F [--seed K]`, started by the
supervisor. The main thread only waits for signals; the loop never returns to Python before its end.
"""

import argparse
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, Protocol

from controller.child import EXIT_REFUSED, StartRefused, follow_parent
from controller.dry_cycle import Part, run_dry_cycle, warm_up_command
from controller.retention import STATE_FOLDER, learned_slots, restore
from controller.runtime import compile_gate
from controller.settings.fieldbus import load_topology
from controller.settings.loader import load_machine, load_settings
from controller.settings.machine import MachineSettings
from controller.settings.plant import PlantSettings
from controller.shared.layout import CorePhase, ProcessId
from controller.shared.view import SharedView

JOIN_S = 0.1
SHUT_DOWN_S = 5.0
PROGRESS_EVERY = 20


def main() -> int:
    """Run the core until its machine is shut down; return its exit status."""
    arguments = _arguments()
    follow_parent()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    view = SharedView.attach(arguments.memory_fd, ProcessId.CORE)
    try:
        return _run(arguments, view)
    except StartRefused as refused:
        view.header["core_phase"] = CorePhase.FAILED
        _say(str(refused))
        return EXIT_REFUSED
    except BaseException:
        view.header["core_phase"] = CorePhase.FAILED
        raise


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="controller.core")
    parser.add_argument("--memory-fd", type=int, required=True)
    parser.add_argument("--result-fd", type=int, required=True)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--plant", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--interface", help="instead of the topology file's")
    parser.add_argument("--lockstep", action="store_true", help="virtual slaves without a socket")
    parser.add_argument("--state-dir", type=Path, default=STATE_FOLDER)
    return parser.parse_args()


def _run(arguments: argparse.Namespace, view: SharedView) -> int:
    settings = load_machine(arguments.config)
    plant = load_settings(arguments.plant, PlantSettings)
    part = Part.SIMULATOR
    if settings.hal == "ethercat":
        part = Part.LOCKSTEP if arguments.lockstep else Part.ETHERCAT
    _pass_gate(arguments, part, view)
    _insist_on_compiled(settings, plant, part)

    # numba may be imported only now that the gate has set its environment.
    from controller import assembly

    plans = assembly.new_plans(len(settings.stations))
    if part is Part.ETHERCAT:
        result = _run_on_bus(arguments, settings, plans, view)
    else:
        simulated = part is Part.SIMULATOR
        build = assembly.build_simulated if simulated else assembly.build_lockstep
        machine = build(settings, plant, plans, arguments.seed)
        restore(learned_slots(arguments.state_dir, settings), machine.state[0], _say)
        result = drive(machine, settings, view, Simulated())
        result["figures"] = assembly.judge_figures(machine)
    with os.fdopen(arguments.result_fd, "w") as file:
        json.dump(result, file)
    return 0


def _run_on_bus(
    arguments: argparse.Namespace, settings: MachineSettings, plans: Any, view: SharedView
) -> dict[str, Any]:
    """Bring the bus up, run the machine on it, and take every slave down again."""
    from controller.assembly import build_on_bus
    from controller.fieldbus import bus_on_line, bus_result

    with bus_on_line(load_topology(settings, arguments.interface), _say) as bus:
        machine = build_on_bus(settings, bus.context, plans)
        restore(learned_slots(arguments.state_dir, settings), machine.state[0], _say)
        return drive(machine, settings, view, bus) | bus_result(bus)


def _pass_gate(arguments: argparse.Namespace, part: Part, view: SharedView) -> None:
    view.header["core_phase"] = CorePhase.COMPILING
    folder = compile_gate.enter(part)
    if not folder.writable:
        _say(f"compiled code cannot be kept: {folder.path} is not writable; set FOLDLINE_CACHE")
    elif not folder.warm:
        _say("compiling for this processor; this happens once")
    command = warm_up_command(arguments.config, arguments.plant, part)
    compile_gate.warm_up(folder, command, _tell_progress)
    view.header["core_phase"] = CorePhase.READY


def _insist_on_compiled(settings: MachineSettings, plant: PlantSettings, part: Part) -> None:
    """Forbid compilation once a dry cycle has shown that nothing is left to compile."""
    compiled = run_dry_cycle(settings, plant, part)
    if compiled and "NUMBA_CACHE_DIR" in os.environ:
        raise RuntimeError(f"compile gate: the dry cycle compiled {', '.join(compiled)}")

    from controller.runtime.dispatchers import forbid_compilation

    forbid_compilation()


class Hardware(Protocol):
    """What the core has to do for its hardware while the loop runs; StartRefused where it cannot."""

    def request_operational(self) -> None:
        """Make the hardware ready; the loop runs already."""

    def restore(self) -> list[str]:
        """Bring back what fell out; returns what was done, in words."""


class Simulated:
    """Hardware in this very process is always there."""

    def request_operational(self) -> None:
        """There is nothing to wait for."""

    def restore(self) -> list[str]:
        """Nothing falls out."""
        return []


def drive(
    machine: Any, settings: MachineSettings, view: SharedView, hardware: Hardware
) -> dict[str, Any]:
    """Run the loop to its end; SIGTERM asks it to shut down in order."""
    from controller.runtime.loop import LoopCode
    from controller.runtime.real_time import RealTimeHost, memory_mb

    machine.memory = view.memory
    asked = settings.real_time
    host = RealTimeHost(machine, asked.core_cpu, asked.priority, asked.lock_memory)
    signal.signal(signal.SIGTERM, lambda *_: _ask_to_end(machine))
    report = host.start()
    for line in report.lines():
        _say(line)
    try:
        hardware.request_operational()
    except StartRefused:
        _ask_to_end(machine)
        host.join(SHUT_DOWN_S)
        raise
    view.header["core_phase"] = CorePhase.RUNNING
    started_mb = memory_mb("VmRSS")
    while not host.join(JOIN_S):
        for line in hardware.restore():
            _say(line)
    if host.code != LoopCode.SHUT_DOWN:
        raise RuntimeError(f"the loop ended by itself: {host.reason}")
    view.header["core_phase"] = CorePhase.ENDED
    return {
        "tier": report.tier,
        "real_time": report.lines(),
        "resident_mb": {"start": started_mb, "end": memory_mb("VmRSS")},
    }


def _ask_to_end(machine: Any) -> None:
    machine.loop[0]["shut_down_asked"] = 1


def _tell_progress(count: int, name: str) -> None:
    if count % PROGRESS_EVERY == 0:
        _say(f"compiled {count} functions, now {name}")


def _say(text: str) -> None:
    sys.stderr.write(f"core: {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
