"""Cells with seeded faults: what is recovered without losing the cell, and how long it takes.

`python -m bench.recovery [--json] [--cells N] [--seeds N] [--every N]`. Picks missed, double sheets, slow
releases, late, failed and false images strike at seeded sheets, about one in `every`; now and then somebody
stops the machine for a moment. An event counts as recovered when its cell is finished and good, and its
seconds are what its cell's next sheets took longer than planned, without the time of the stop itself.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench import report

SHORT_STOP = "short_stop"
STOP_EVERY_S = 60.0
STOP_S = (0.5, 3.0)
REACH = 4  # sheets that an event may delay
SLACK = 1.02  # of the planned interval
GOAL_SHARE = 0.99
RECOVERABLE = (
    "pick_miss",
    "camera_failed",
    "camera_outlier",
    "camera_late",
    "double_sheet",
    SHORT_STOP,
)


@dataclass(frozen=True)
class Struck:
    """Something that happened once `sheet` sheets were laid, and the seconds it lasted by itself."""

    kind: str
    sheet: int
    seconds: float = 0.0


@dataclass(frozen=True)
class Event:
    """What became of it."""

    kind: str
    lost: bool
    seconds: float


@dataclass(frozen=True)
class Campaign:
    """One seed's run."""

    events: list[Event]
    figures: dict[str, Any]
    cells: int
    good: int
    verdicts: dict[str, int]


def main() -> None:
    """Run the campaign and print its table."""
    arguments = report.parser(__doc__ or "")
    arguments.add_argument("--cells", type=int, default=200, help="of all seeds together")
    arguments.add_argument("--seeds", type=int, default=5)
    arguments.add_argument("--every", type=int, default=20, help="sheets between two faults")
    options = arguments.parse_args()
    report.prepare()
    each = options.cells // options.seeds
    runs = [run_campaign(seed + 1, each, options.every) for seed in range(options.seeds)]
    report.show("Recovery", summary(runs), options.json)


def run_campaign(seed: int, cells: int, every: int, cathodes: int | None = None) -> Campaign:
    """Make cells of the reference recipe, cut down to `cathodes`, while faults strike."""
    from controller.assembly import judge_figures
    from controller.settings.loader import load_machine, load_recipe, load_settings
    from controller.settings.plant import PlantSettings
    from controller.shared.records import Verdict
    from controller.simulate import Simulation, verdicts
    from hal_sim.faults import schedule_faults, seeded_faults

    recipe = load_recipe(report.RECIPE)
    if cathodes is not None:
        recipe = recipe.model_copy(update={"cathodes": cathodes})
    faults = seeded_faults(seed, cells * recipe.sheets, every)
    plant = load_settings(report.PLANT, PlantSettings)
    simulation = Simulation(load_machine(report.MACHINE), plant, recipe, seed)
    schedule_faults(simulation.machine.context, faults)
    struck = [Struck(fault.kind.name.lower(), fault.at_sheet) for fault in faults]
    struck += _produce(simulation, cells, random.Random(seed))
    records, judged = simulation.records, list(simulation.judged.values())
    return Campaign(
        _events(simulation, struck),
        judge_figures(simulation.machine),
        len(records),
        sum(int(record["verdict"]) == Verdict.GOOD for record in records),
        verdicts(records, judged),
    )


def _produce(simulation: Any, cells: int, draw: random.Random) -> list[Struck]:
    """Make the cells; returns the short stops there were."""
    from controller.shared.commands import CommandCode
    from controller.shared.packml import State
    from controller.simulate import CHUNK_S, operate

    simulation.reset()
    simulation.command(CommandCode.SET_CELLS, value=float(cells))
    simulation.command(CommandCode.START)
    stops: list[Struck] = []
    next_s = simulation.virtual_s + draw.uniform(0.0, STOP_EVERY_S)
    while simulation.state != State.COMPLETE:
        operate(simulation)
        simulation.run(CHUNK_S)
        if simulation.virtual_s >= next_s and simulation.state == State.EXECUTE:
            next_s = simulation.virtual_s + draw.uniform(0.5, 1.5) * STOP_EVERY_S
            stops.append(_stop_shortly(simulation, draw.uniform(*STOP_S)))
    simulation.judge()
    return stops


def _stop_shortly(simulation: Any, seconds: float) -> Struck:
    from controller.shared.commands import CommandCode
    from controller.shared.packml import State

    begun = simulation.virtual_s
    simulation.command(CommandCode.HOLD)
    simulation.run_until(lambda: simulation.state == State.HELD, 20.0)
    sheet = int(simulation.station()["status"]["sheets_total"])
    simulation.run(seconds)
    simulation.command(CommandCode.UNHOLD)
    return Struck(SHORT_STOP, sheet, simulation.virtual_s - begun)


def _events(simulation: Any, struck: Sequence[Struck]) -> list[Event]:
    """Follow each to its cell: by the sheets that the judge counted, and the record begun before them."""
    from controller.shared.records import Verdict

    planned_s = simulation.plans[0].times.period_s
    starts = [int(record["started_ns"]) * 1e-9 for record in simulation.records]
    events, before = [], 0
    for cell in sorted(simulation.judged.values(), key=lambda cell: cell["cell"]):
        record = simulation.records[sum(start <= cell["first_s"] for start in starts) - 1]
        times = record["layers"]["time_s"][: int(record["layer_count"])]
        for one in struck:
            layer = one.sheet - before
            if not 0 <= layer < cell["sheets"]:
                continue
            late = [max(float(t) - SLACK * planned_s, 0.0) for t in times[layer : layer + REACH]]
            lost = int(record["verdict"]) != Verdict.GOOD
            events.append(Event(one.kind, lost, max(sum(late) - one.seconds, 0.0)))
        before += cell["sheets"]
    return events


def summary(runs: Sequence[Campaign]) -> dict[str, Any]:
    """The table by kind, and what the judge found."""
    events = [event for run in runs for event in run.events]
    kinds = {}
    for kind in sorted({event.kind for event in events}):
        of_kind = [event for event in events if event.kind == kind]
        lost = sum(event.lost for event in of_kind)
        seconds = [event.seconds for event in of_kind if not event.lost]
        kinds[kind] = {
            "events": len(of_kind),
            "recovered": len(of_kind) - lost,
            "lost_cells": lost,
            "mean_s_lost": sum(seconds) / len(seconds) if seconds else 0.0,
            "max_s_lost": max(seconds, default=0.0),
        }
    named = [event for event in events if event.kind in RECOVERABLE]
    recovered = sum(not event.lost for event in named)
    return {
        "cells": sum(run.cells for run in runs),
        "good_cells": sum(run.good for run in runs),
        "violations": sum(sum(run.figures["violations"].values()) for run in runs),
        "false_rejects": sum(run.verdicts["false_rejects"] for run in runs),
        "escapes": sum(run.verdicts["escapes"] for run in runs),
        "recovered_share": recovered / len(named) if named else None,
        "goal_share": GOAL_SHARE,
        "kinds": kinds,
    }


if __name__ == "__main__":
    main()
