"""Wake-up lateness of our loop and of cyclictest, on one core in one run, half a period apart.

`python -m bench.jitter [--json] [--period-us P] [--seconds S] [--slices N]`. Each figure is the median
over the slices; the two start in alternating order. Where cyclictest (rt-tests) is missing, a bare
loop of the same shape stands in for it, and the result says so. An overrun is a wake-up later than a
period, which is how cyclictest counts; one of them may miss several periods.
"""

import json
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from bench import report

PRIORITY = 80
HISTOGRAM_NS = 4_000_000
LATE_NS = 100_000
PERCENTILES = {"p50_us": 0.5, "p99_us": 0.99, "p99_9_us": 0.999}
Figures = dict[str, float]


def main() -> None:
    """Measure and print."""
    arguments = report.parser(__doc__ or "")
    arguments.add_argument("--period-us", type=int, default=1000)
    arguments.add_argument("--seconds", type=float, default=10.0, help="of a slice")
    arguments.add_argument("--slices", type=int, default=5)
    arguments.add_argument("--cpu", type=int, default=1)
    options = arguments.parse_args()
    report.prepare()
    cycles = round(options.seconds * 1e6 / options.period_us)
    slices = [
        _slice(cycles, options.period_us * 1000, options.cpu, ours_first=number % 2 == 0)
        for number in range(options.slices)
    ]
    report.show("Wake-up lateness", _summary(slices, options), options.json)


def _slice(cycles: int, period_ns: int, cpu: int, ours_first: bool) -> dict[str, Any]:
    """Run both side by side once."""
    from bench.late_loop import our_latenesses

    found: dict[str, Any] = {}

    def ours() -> None:
        latenesses, missed, lines = our_latenesses(cycles, period_ns, cpu, PRIORITY)
        found["ours"] = _figures(latenesses, period_ns)
        found["missed_periods"], found["real_time"] = missed, lines

    def theirs() -> None:
        found["cyclictest"] = _theirs(cycles, period_ns, cpu)

    _side_by_side([ours, theirs] if ours_first else [theirs, ours])
    return found


def _side_by_side(runs: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=run) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _theirs(cycles: int, period_ns: int, cpu: int) -> Figures:
    if shutil.which("cyclictest"):
        return _cyclictest(cycles, period_ns, cpu)
    from bench.late_loop import bare_latenesses

    return _figures(bare_latenesses(cycles, period_ns, cpu, PRIORITY), period_ns)


def _cyclictest(cycles: int, period_ns: int, cpu: int) -> Figures:
    period_us = period_ns // 1000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cyclictest.json"
        command = ["cyclictest", "-q", "-m", "-N", "-t1", f"-a{cpu}", f"-p{PRIORITY}"]
        command += [f"-i{period_us}", f"-l{cycles}", f"-h{HISTOGRAM_NS}", f"--json={path}"]
        command += [f"--secaligned={period_us // 2}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        thread = json.loads(path.read_text())["thread"]["0"]
    return _of_histogram({int(k): n for k, n in thread["histogram"].items()}, thread, period_ns)


def _of_histogram(bins: dict[int, int], thread: dict[str, Any], period_ns: int) -> Figures:
    """Figures of a histogram of nanoseconds; what lies beyond it counts as the maximum."""
    total = int(thread["cycles"])
    beyond = total - sum(bins.values())
    edges = [*sorted(bins.items()), (int(thread["max"]), beyond)]

    def percentile(share: float) -> float:
        below = 0
        for value, count in edges:
            below += count
            if below >= share * total:
                return value * 1e-3
        return int(thread["max"]) * 1e-3

    def later_than(limit_ns: int) -> int:
        return sum(count for value, count in edges if value > limit_ns)

    figures = {name: percentile(share) for name, share in PERCENTILES.items()}
    figures["max_us"] = int(thread["max"]) * 1e-3
    figures["share_over_100_us"] = later_than(LATE_NS) / total
    figures["later_than_period"] = float(later_than(period_ns))
    return figures


def _figures(latenesses: Any, period_ns: int) -> Figures:
    import numpy as np

    figures = {
        name: float(np.quantile(latenesses, share)) * 1e-3 for name, share in PERCENTILES.items()
    }
    figures["max_us"] = float(latenesses.max()) * 1e-3
    figures["share_over_100_us"] = float((latenesses > LATE_NS).mean())
    figures["later_than_period"] = float((latenesses > period_ns).sum())
    return figures


def _summary(slices: list[dict[str, Any]], options: Any) -> dict[str, Any]:
    ours, theirs = (_medians([part[name] for part in slices]) for name in ("ours", "cyclictest"))
    return {
        "ours": ours,
        "cyclictest": theirs,
        "ratio_p50": ours["p50_us"] / theirs["p50_us"],
        "ratio_p99": ours["p99_us"] / theirs["p99_us"],
        "ratio_share_over_100_us": _ratio(ours["share_over_100_us"], theirs["share_over_100_us"]),
        "overruns": _sum(slices, "ours", "later_than_period"),
        "cyclictest_later_than_period": _sum(slices, "cyclictest", "later_than_period"),
        "missed_periods": sum(part["missed_periods"] for part in slices),
        "period_us": options.period_us,
        "slices": options.slices,
        "reference": "cyclictest"
        if shutil.which("cyclictest")
        else "bare loop: no cyclictest here",
        "real_time": slices[-1]["real_time"],
    }


def _medians(parts: list[Figures]) -> Figures:
    names = [name for name in parts[0] if name != "later_than_period"]
    return {name: median(part[name] for part in parts) for name in names}


def _sum(slices: list[dict[str, Any]], name: str, figure: str) -> int:
    return sum(int(part[name][figure]) for part in slices)


def _ratio(ours: float, theirs: float) -> float | None:
    return ours / theirs if theirs else None


if __name__ == "__main__":
    main()
