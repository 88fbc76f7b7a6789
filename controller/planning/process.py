"""The planner process: short-lived; computes plans and writes them whole into idle slots.

Run as `python -m controller.planning.process --memory-fd N --config F --recipe F --slot S [S ...]`,
with one slot for all stations or one for each; `--dry` for a cycle without material, `--state-dir D`
for where identified modes are kept.
"""

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from controller.runtime import compile_gate

if __name__ == "__main__":
    compile_gate.enter()  # before anything brings numba

from controller.planning.cycle_plan import make_plan
from controller.planning.identified import with_identified_modes
from controller.planning.timeline import PlanRefused
from controller.retention import STATE_FOLDER
from controller.settings.document import SettingsError
from controller.settings.loader import load_machine, load_recipe
from controller.shared.commands import CommandCode, CommandResult
from controller.shared.layout import CorePhase, ProcessId
from controller.shared.view import SharedView

EXIT_REFUSED = 2
EXIT_NOT_TAKEN = 3
TAKEN_WITHIN_S = 5.0


def write_plans(
    view: SharedView,
    config: Path,
    recipe: Path,
    slots: list[int],
    folder: Path = STATE_FOLDER,
    dry: bool = False,
) -> bool:
    """Compute every station's plan, write all, and activate them; False when the core refuses.

    Nothing is written before all are computed, so a refused recipe leaves the machine as it was.
    """
    machine, words = with_identified_modes(load_machine(config), folder)
    for word in words:
        print(f"planner: {word}", file=sys.stderr)
    made = load_recipe(recipe)
    plans = [make_plan(machine, made, index, dry=dry) for index in range(len(machine.stations))]
    slots = slots * len(plans) if len(slots) == 1 else slots
    for index, (plan, slot) in enumerate(zip(plans, slots, strict=True)):
        sequence = view.write_plan(index, slot, plan.record[0])
        if not _wait(view, partial(_loaded, view, index, slot, sequence)):
            return False
    answers = []
    for index, slot in enumerate(slots):
        sent = view.send(CommandCode.ACTIVATE_PLAN, station=index, value=float(2 * index + slot))
        _wait(view, partial(_answered, view, sent))
        answers.append(view.answer(sent))
    return all(answer == CommandResult.ACCEPTED for answer in answers)


def _loaded(view: SharedView, station: int, slot: int, sequence: int) -> bool:
    return view.plan_loaded(station, slot) >= sequence


def _answered(view: SharedView, sequence: int) -> bool:
    return view.answer(sequence) is not None


def _wait(view: SharedView, done: Callable[[], bool]) -> bool:
    """Wait until something is so, or the core had time enough: its hardware may still come up."""
    end = time.monotonic() + TAKEN_WITHIN_S
    while not done() and time.monotonic() < end:
        if view.core_phase == CorePhase.READY:
            end = time.monotonic() + TAKEN_WITHIN_S
        time.sleep(0.002)
    return done()


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m controller.planning.process")
    parser.add_argument("--memory-fd", type=int, required=True)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--recipe", type=Path, required=True)
    parser.add_argument("--slot", type=int, choices=(0, 1), nargs="+", required=True)
    parser.add_argument("--state-dir", type=Path, default=STATE_FOLDER)
    parser.add_argument("--dry", action="store_true", help="a cycle without material")
    options = parser.parse_args(arguments)
    view = SharedView.attach(options.memory_fd, ProcessId.PLANNER)
    try:
        taken = write_plans(
            view, options.config, options.recipe, options.slot, options.state_dir, options.dry
        )
    except (PlanRefused, SettingsError) as refused:
        print(f"plan refused: {refused}", file=sys.stderr)
        return EXIT_REFUSED
    if not taken:
        print("plan not activated: the core did not take it", file=sys.stderr)
        return EXIT_NOT_TAKEN
    return 0


if __name__ == "__main__":
    sys.exit(main())
