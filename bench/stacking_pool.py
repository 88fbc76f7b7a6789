"""Several runs of one case pooled into one summary with the keys of a single run's."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hal_sim.judge.figures import pooled_figures


@dataclass(frozen=True)
class Run:
    """What one run left: its own summary, and the judges that figures are pooled from."""

    seed: int
    summary: dict[str, Any]
    material: list[NDArray[np.void]]
    tension_n: float
    stuck: str = ""


def pooled(runs: Sequence[Run]) -> dict[str, Any]:
    """The judge's figures over all runs; counts and times added, the same bounds kept, one digest."""
    figures = pooled_figures([judge for run in runs for judge in run.material], runs[0].tension_n)
    summaries = [run.summary for run in runs if not run.stuck]
    made: dict[str, Any] = {}
    for key in summaries[0] if summaries else ():
        made[key] = figures.get(key) or _together(key, [summary[key] for summary in summaries])
    made |= figures
    if summaries:
        made["realtime_ratio"] = made["virtual_s"] / made["wall_s"]
    return made | {"stuck": [f"seed {run.seed}: {run.stuck}" for run in runs if run.stuck]}


def _together(key: str, values: list[Any]) -> Any:
    """One value for all runs of what the judge has no pooled figure for."""
    if key == "digest":
        return hashlib.sha256("".join(values).encode()).hexdigest()
    if key.endswith("_s_per_sheet"):
        return values[0]
    if isinstance(values[0], dict):
        names = dict.fromkeys(name for value in values for name in value)
        return {
            name: _together(name, [value[name] for value in values if name in value])
            for name in names
        }
    if isinstance(values[0], list):
        return [entry for value in values for entry in value]
    if isinstance(values[0], int | float):
        return sum(values)
    return values[0]
