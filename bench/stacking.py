"""Foldline beside a conventional controller on the same simulated machines, every noise on.

`python -m bench.stacking [--json] [--cells 20] [--seeds 5] [--classes B,C,D] [--vary]`. Every figure is
the judge's, pooled over the seeds from sums and bins. `--vary` adds class B machines that nothing was
tuned for, the 125 x 300 mm cell, two stations, and the baseline on the best standard law for its table.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import report
from bench.stacking_cases import CASES, VARIATIONS, Case
from bench.stacking_table import markdown, print_table
from controller.display import progress_bar

if TYPE_CHECKING:
    from bench.stacking_pool import Run

PROCESSES = 2


def main() -> None:
    """Run every case and print the table."""
    arguments = report.parser(__doc__ or "")
    arguments.add_argument("--cells", type=int, default=20)
    arguments.add_argument("--seeds", type=int, default=5)
    arguments.add_argument("--classes", default="B,C,D")
    arguments.add_argument("--vary", action="store_true", help="add what nothing was tuned for")
    arguments.add_argument("--controllers", default="foldline,baseline")
    arguments.add_argument("--markdown", action="store_true", help="print the table for a document")
    arguments.add_argument("--read", type=Path, help="show what an earlier --json printed instead")
    options = arguments.parse_args()
    rows = json.loads(options.read.read_text()) if options.read else _rows(options)
    if options.json:
        print(json.dumps(rows, allow_nan=False))
    elif options.markdown:
        print(markdown(rows), end="")
    else:
        print_table(rows)


def _rows(options: argparse.Namespace) -> list[dict[str, Any]]:
    report.prepare()
    classes, controllers = options.classes.split(","), options.controllers.split(",")
    cases = [case for case in CASES if case.machine_class in classes]
    cases += VARIATIONS if options.vary else []
    cases = [case for case in cases if case.controller in controllers]
    return list(_measure(cases, options.cells, range(1, options.seeds + 1)))


def _measure(cases: list[Case], cells: int, seeds: range) -> Iterator[dict[str, Any]]:
    """One row a case, in order."""
    from bench.stacking_pool import pooled

    jobs = [(case, seed) for case in cases for seed in seeds]
    runs: dict[Case, list[Run]] = {case: [] for case in cases}
    with progress_bar("runs") as progress:
        for done, (case, run) in enumerate(_run_all(jobs, cells), 1):
            runs[case].append(run)
            progress(done / len(jobs))
            _tell(f"{done} of {len(jobs)}: {case.machine_class} {case.controller}, seed {run.seed}")
    for case in cases:
        ordered = sorted(runs[case], key=lambda run: run.seed)
        yield {
            "class": case.machine_class,
            "controller": case.controller,
            "variant": case.variant,
            "seeds": len(ordered),
            "cells_wanted": cells * len(ordered),
            **pooled(ordered),
        }


def _tell(line: str) -> None:
    """For those who watch a log instead of a terminal."""
    if not sys.stderr.isatty():
        print(line, file=sys.stderr, flush=True)


def _run_all(jobs: list[tuple[Case, int]], cells: int) -> "Iterator[tuple[Case, Run]]":
    """Each job in a process of its own, two side by side, once all is compiled."""
    with ProcessPoolExecutor(PROCESSES, get_context("spawn"), max_tasks_per_child=1) as pool:
        # each controller's first run compiles what it needs, alone
        first = {case.controller: (case, seed) for case, seed in reversed(jobs)}
        for case, seed in first.values():
            yield case, pool.submit(_run, case, seed, cells).result()
        waiting: dict[Future[Run], Case] = {
            pool.submit(_run, case, seed, cells): case
            for case, seed in jobs
            if (case, seed) not in first.values()
        }
        for future in as_completed(waiting):
            yield waiting[future], future.result()


def _run(case: Case, seed: int, cells: int) -> "Run":
    """One run, in a process of its own; imports come after the compile gate."""
    from controller.runtime import compile_gate

    if "numba" not in sys.modules:
        compile_gate.enter()
    from bench.stacking_run import run_case

    return run_case(case, seed, cells)


if __name__ == "__main__":
    main()
