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
from typing import Any

from controller.child import follow_parent
from controller.dry_cycle import run_dry_cycle, warm_up_command
from controller.runtime import compile_gate
from controller.settings.loader import load_machine, load_settings
from controller.settings.machine import MachineSettings
from controller.settings.plant import PlantSettings
from controller.shared.layout import CorePhase, ProcessId
from controller.shared.view import SharedView

JOIN_S = 0.25
PROGRESS_EVERY = 20


def main() -> int:
    """Run the core until its machine is shut down; return its exit status."""
    arguments = _arguments()
    follow_parent()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    view = SharedView.attach(arguments.memory_fd, ProcessId.CORE)
    try:
        return _run(arguments, view)
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
    return parser.parse_args()


def _run(arguments: argparse.Namespace, view: SharedView) -> int:
    settings = load_machine(arguments.config)
    plant = load_settings(arguments.plant, PlantSettings)
    _pass_gate(arguments, view)
    machine = _build(settings, plant, arguments.seed, view)
    result = _drive(machine, settings, view)
    with os.fdopen(arguments.result_fd, "w") as file:
        json.dump(result, file)
    return 0


def _pass_gate(arguments: argparse.Namespace, view: SharedView) -> None:
    view.header["core_phase"] = CorePhase.COMPILING
    folder = compile_gate.enter()
    if not folder.writable:
        _say(f"compiled code cannot be kept: {folder.path} is not writable; set FOLDLINE_CACHE")
    elif not folder.warm:
        _say("compiling for this processor; this happens once")
    command = warm_up_command(arguments.config, arguments.plant)
    compile_gate.warm_up(folder, command, _tell_progress)
    view.header["core_phase"] = CorePhase.READY


def _build(settings: MachineSettings, plant: PlantSettings, seed: int, view: SharedView) -> Any:
    """Build the machine once a dry cycle has shown that nothing is left to compile."""
    compiled = run_dry_cycle(settings, plant)
    if compiled and "NUMBA_CACHE_DIR" in os.environ:
        raise RuntimeError(f"compile gate: the dry cycle compiled {', '.join(compiled)}")

    # numba may be imported only now that the gate has set its environment.
    from controller.assembly import build_simulated, new_plans
    from controller.runtime.dispatchers import forbid_compilation

    forbid_compilation()
    slots = new_plans(len(settings.stations))
    machine = build_simulated(settings, plant, slots, seed)
    machine.memory = view.memory
    return machine


def _drive(machine: Any, settings: MachineSettings, view: SharedView) -> dict[str, Any]:
    """Run the loop to its end; SIGTERM asks it to shut down in order."""
    from controller.assembly import judge_figures
    from controller.runtime.loop import LoopCode
    from controller.runtime.real_time import RealTimeHost, memory_mb

    asked = settings.real_time
    host = RealTimeHost(machine, asked.core_cpu, asked.priority, asked.lock_memory)
    signal.signal(signal.SIGTERM, lambda *_: _ask_to_end(machine))
    report = host.start()
    for line in report.lines():
        _say(line)
    view.header["core_phase"] = CorePhase.RUNNING
    started_mb = memory_mb("VmRSS")
    while not host.join(JOIN_S):
        pass
    if host.code != LoopCode.SHUT_DOWN:
        raise RuntimeError(f"the loop ended by itself: {host.reason}")
    view.header["core_phase"] = CorePhase.ENDED
    return {
        "tier": report.tier,
        "real_time": report.lines(),
        "resident_mb": {"start": started_mb, "end": memory_mb("VmRSS")},
        "figures": judge_figures(machine),
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
