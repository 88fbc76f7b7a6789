"""`foldline plan`: the cycle plan in numbers, and its timing chart as a picture."""

import json
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from controller.planning.cycle_plan import CyclePlan, make_plan
from controller.planning.timeline import PlanRefused
from controller.settings.machine import MachineSettings
from controller.settings.recipe import RecipeSettings

EXIT_REFUSED = 2


def plan_figures(plan: CyclePlan) -> dict[str, Any]:
    """What the plan promises, and what its excess over the ideal bound is made of, in ms."""
    bound, times = plan.bound, plan.times
    step = max(bound.clearance_s, bound.window_s)
    excess = {
        "sensors_after_release": times.release_s - max(bound.finger_s, bound.vacuum_off_s),
        "quiet_traverse": plan.table.length - bound.traverse_s,
        "leaving_the_window": times.table_start_s - times.release_s - (step - bound.window_s),
        "final_descent": times.period_s - times.table_end_s - (step - bound.window_s),
    }
    critical = max(times.critical, key=lambda part: part[1])[0]
    return {
        "s_per_sheet": times.period_s,
        "bound_s_per_sheet": bound.seconds,
        "ratio": plan.ratio,
        "critical_path": [name for name, seconds in times.critical if seconds > 0.0],
        "longest_on_it": critical,
        "excess_ms": {name: 1e3 * seconds for name, seconds in excess.items()},
        "table_traverse_s": plan.table.length,
        "slow_speed_max": float(plan.record[0]["slow_speed_max"]),
        "cell_change_s": plan.change.seconds,
        "segments": int(plan.record[0]["segment_count"]),
        "identity": plan.record[0]["identity"].tobytes().hex(),
    }


def plan_command(
    machine: MachineSettings, recipe: RecipeSettings, png: Path | None, as_json: bool
) -> None:
    """Compute the plan of the first station, print it, and draw it where asked."""
    console = Console(stderr=True)
    try:
        with console.status("optimising the table's move"):
            plan = make_plan(machine, recipe)
    except PlanRefused as refused:
        print(f"plan refused: {refused}", file=sys.stderr)
        raise SystemExit(EXIT_REFUSED) from None
    if png is not None:
        from controller.planning.chart import draw_timing_chart

        draw_timing_chart(plan, png)
        console.print(f"drawn: {png}")
    figures = plan_figures(plan)
    if as_json:
        print(json.dumps(figures, allow_nan=False))
    else:
        _print(figures)


def _print(figures: dict[str, Any]) -> None:
    table = Table("figure", "value", title="Cycle plan", title_justify="left")
    table.add_row("planned", f"{figures['s_per_sheet']:.4f} s a sheet")
    table.add_row("ideal bound", f"{figures['bound_s_per_sheet']:.4f} s a sheet")
    table.add_row("ratio", f"{figures['ratio']:.4f}")
    table.add_row("cell change", f"{figures['cell_change_s']:.2f} s a cell beyond its sheets")
    table.add_row("override", f"100 %, or {100.0 * figures['slow_speed_max']:.0f} % and less")
    table.add_row("critical path", ", ".join(figures["critical_path"]))
    for name, milliseconds in figures["excess_ms"].items():
        table.add_row(f"excess: {name.replace('_', ' ')}", f"{milliseconds:.2f} ms")
    table.add_row("segments", str(figures["segments"]))
    table.add_row("identity", figures["identity"][:16])
    Console().print(table)
