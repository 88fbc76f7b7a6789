"""The judge's figures: what a run truly came to, pooled over its stations."""

from collections.abc import Sequence
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hal_sim.judge.layout import CELLS_MAX, JUDGE_DTYPE, VIOLATIONS_MAX, Rule
from hal_sim.layout import CONTEXT_DTYPE

_MM, _UM = 1e3, 1e6


def figures(context: NDArray[np.uint8]) -> dict[str, Any]:
    """Cells, pace, overlay, tension, residual and violations of a context, by the judge's truth."""
    return pooled_figures(judge_material(context), _tension_set(context))


def judge_material(context: NDArray[np.uint8]) -> list[NDArray[np.void]]:
    """A copy of each station's judge, (1,) of JUDGE_DTYPE: sums and bins that figures are pooled from."""
    return [np.array([judge], JUDGE_DTYPE) for judge in _judges(context)]


def pooled_figures(material: Sequence[NDArray[np.void]], tension_n: float) -> dict[str, Any]:
    """The figures of several stations or runs as if they were one, from sums and bins, never from figures.

    Overlay in mm: each of a sheet's four edges against the table's nominal datum, x and y pooled. Tension
    in N at the table end against `tension_n`, 1 kHz between first and last placement: from the third
    cell on where there is one; `first_cell`, `second_cell` and `recovery` apart. `cell_change_s` is the
    mean from a cell's last sheet to the next one's first, less the sheet it would take anyway. A figure
    without samples is None.
    """
    judges = [judge[0] for judge in material]
    counts = sum(judge["violation_counts"] for judge in judges)
    return {
        "cells_unloaded": _total(judges, "cells_unloaded"),
        "cells_truly_good": _total(judges, "cells_good"),
        "sheets": _total(judges, "sheets_laid"),
        "dropped_sheets": _total(judges, "dropped"),
        "discarded_sheets": _total(judges, "discarded"),
        "s_per_sheet": _ratio(_total(judges, "interval_s"), _total(judges, "interval_count")),
        "s_per_sheet_with_cell_change": _pace_with_change(judges),
        "cell_change_s": _cell_change(judges),
        "overlay_mm": _overlay(judges),
        "pair_overlay_mm": {
            "p99_7": _quantile(judges, "pair_bins", 0.997, 1e-3),
            "max": _largest(judges, "pair_max_m") * _MM,
        },
        "theta_deg": {
            "p99_7": _quantile(judges, "theta_bins", 0.997, 1e-4),
            "max": _largest(judges, "theta_max_rad") * 180.0 / np.pi,
        },
        "tension_n": _tensions(tension_n, judges),
        "table_residual_um": {
            "p99_7": _quantile(judges, "residual_bins", 0.997, 0.1),
            "max": _largest(judges, "residual_max_m") * _UM,
        },
        "violations": {str(rule.value): int(counts[rule]) for rule in Rule if counts[rule]},
    }


def judge_cells(context: NDArray[np.uint8]) -> list[dict[str, Any]]:
    """The unloaded cells that are still kept, oldest first: what each truly was, by station.

    overhang_min_m: left, right, front, rear, the anode's over its neighbouring cathodes.
    """
    rows = []
    for station, judge in enumerate(_judges(context)):
        unloaded = int(judge["cells_unloaded"])
        for number in range(max(0, unloaded - CELLS_MAX), unloaded):
            row = judge["cells"][number % CELLS_MAX]
            rows.append(_cell(station, row))
    return rows


def first_violations(context: NDArray[np.uint8]) -> list[dict[str, Any]]:
    """The first violations of each station: rule, time, cell, sheet, index, value and load."""
    rows = []
    for station, judge in enumerate(_judges(context)):
        for row in judge["violations"][: min(int(judge["violation_count"]), VIOLATIONS_MAX)]:
            row_of = {name: row[name].item() for name in row.dtype.names}
            rows.append({"station": station, "name": Rule(row["rule"]).name.lower(), **row_of})
    return rows


def _judges(context: NDArray[np.uint8]) -> list[Any]:
    record = context.view(CONTEXT_DTYPE)[0]
    return [record["stations"][i]["judge"] for i in range(int(record["station_count"]))]


def _total(judges: Sequence[Any], name: str) -> Any:
    return sum(judge[name].item() for judge in judges)


def _largest(judges: Sequence[Any], name: str) -> float:
    return max(float(judge[name]) for judge in judges)


def _ratio(over: float, under: float) -> float | None:
    return over / under if under else None


def _quantile(judges: Sequence[Any], name: str, share: float, width: float) -> float | None:
    """The upper edge of the bin that holds the quantile."""
    bins = sum(judge[name] for judge in judges)
    total = int(np.sum(bins))
    if total == 0:
        return None
    return float(np.searchsorted(np.cumsum(bins), share * total) + 1) * width


def _pace_with_change(judges: Sequence[Any]) -> float | None:
    """From the first sheet of the first cell to the first of the last, over the sheets between."""
    seconds, sheets = 0.0, 0
    for judge in judges:
        started = int(judge["run_last_first_ns"])
        if started:
            seconds += (started - int(judge["run_first_ns"])) * 1e-9
            sheets += int(judge["run_sheets_before"])
    return _ratio(seconds, sheets)


def _cell_change(judges: Sequence[Any]) -> float | None:
    change = _ratio(_total(judges, "change_s"), _total(judges, "change_count"))
    sheet = _ratio(_total(judges, "interval_s"), _total(judges, "interval_count"))
    return None if change is None or sheet is None else change - sheet


def _overlay(judges: Sequence[Any]) -> dict[str, float | None]:
    count = _total(judges, "overlay_count")
    square = _ratio(_total(judges, "overlay_square_m2"), count)
    least = _ratio(_total(judges, "irreducible_square_m2"), _total(judges, "irreducible_count"))
    return {
        "sigma": None if square is None else sqrt(square) * _MM,
        "p50": _quantile(judges, "overlay_bins", 0.5, 1e-3),
        "p99_7": _quantile(judges, "overlay_bins", 0.997, 1e-3),
        "max": _largest(judges, "overlay_max_m") * _MM,
        "irreducible_sigma": None if least is None else sqrt(least) * _MM,
    }


def _pool(judges: Sequence[Any], name: str) -> dict[str, float | None]:
    rows = [judge[name] for judge in judges if judge[name]["count"]]
    if not rows:
        return {"rms_deviation": None, "peak_deviation": None, "min": None, "max": None}
    count = sum(int(row["count"]) for row in rows)
    return {
        "rms_deviation": sqrt(sum(float(row["square_n2"]) for row in rows) / count),
        "peak_deviation": max(float(row["peak_n"]) for row in rows),
        "min": min(float(row["min_n"]) for row in rows),
        "max": max(float(row["max_n"]) for row in rows),
    }


def _tension_set(context: NDArray[np.uint8]) -> float:
    return float(context.view(CONTEXT_DTYPE)[0]["plant"]["judge"]["tension_n"])


def _tensions(tension_n: float, judges: Sequence[Any]) -> dict[str, Any]:
    first, second = _pool(judges, "tension_first"), _pool(judges, "tension_second")
    learned = _pool(judges, "tension")
    told = [part for part in (learned, second, first) if part["min"] is not None]
    return {
        "set": tension_n,
        **(told[0] if told else learned),
        "first_cell": first,
        "second_cell": second,
        "recovery": _pool(judges, "tension_recovery"),
    }


def _cell(station: int, row: Any) -> dict[str, Any]:
    tension = row["tension"]
    return {
        "station": station,
        "cell": int(row["cell"]),
        "sheets": int(row["sheets"]),
        "good": bool(row["good"]),
        "overhang_min_m": [float(value) for value in row["overhang_min_m"]],
        "tension_min_n": float(tension["min_n"]),
        "tension_max_n": float(tension["max_n"]),
        "doubles": int(row["doubles"]),
        "in_order": bool(row["in_order"]),
        "wraps": float(row["wraps"]),
        "taped": bool(row["taped"]),
        "hipot_bad": bool(row["hipot_bad"]),
        "splice": bool(row["splice"]),
        "first_s": int(row["first_ns"]) * 1e-9,
        "seconds": (int(row["last_ns"]) - int(row["first_ns"])) * 1e-9,
    }
