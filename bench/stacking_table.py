"""The table of bench.stacking for people."""

from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.table import Table

Row = dict[str, Any]


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _tension(part: Row, set_n: float) -> str:
    if part["rms_deviation"] is None:
        return "-"
    share = 100.0 / set_n
    return f"{part['rms_deviation'] * share:.1f} / {part['peak_deviation'] * share:.0f}"


def _ratio(row: Row) -> float | None:
    pace, bound = row["s_per_sheet"], row.get("bound_s_per_sheet")
    return pace / bound if pace and bound else None


def _sigma(row: Row) -> str:
    overlay = row["overlay_mm"]
    sigma, least = overlay["sigma"], overlay["irreducible_sigma"]
    return "-" if sigma is None else f"{1e3 * sigma:.1f} / {1e3 * least:.1f}"


def _count(row: Row, key: str) -> str:
    return str(row.get(key, "-"))


def _violations(row: Row) -> str:
    return ", ".join(f"{rule}: {count}" for rule, count in row["violations"].items()) or "0"


def _name(row: Row) -> str:
    variant = "" if row["variant"] == "reference" else f", {row['variant']}"
    return f"{row['class']} {row['controller']}{variant}"


# Heading and value of each column.
COLUMNS: dict[str, Callable[[Row], str]] = {
    "machine, controller": _name,
    "s/sheet": lambda row: _number(row["s_per_sheet"], 4),
    "over bound": lambda row: _number(_ratio(row), 3),
    "change s": lambda row: _number(row["cell_change_s"], 2),
    "overlay sigma / least µm": _sigma,
    "p99.7 mm": lambda row: _number(row["overlay_mm"]["p99_7"], 3),
    "pair mm": lambda row: _number(row["pair_overlay_mm"]["p99_7"], 3),
    "theta deg": lambda row: _number(row["theta_deg"]["p99_7"], 3),
    "tension rms / peak %": lambda row: _tension(row["tension_n"], row["tension_n"]["set"]),
    "first cell": lambda row: _tension(row["tension_n"]["first_cell"], row["tension_n"]["set"]),
    "residual µm": lambda row: _number(row["table_residual_um"]["max"], 1),
    "violations (rule: count)": _violations,
    "cells": lambda row: _count(row, "cells_unloaded"),
    "rejected": lambda row: _count(row, "rejected_cells"),
    "false rejects": lambda row: _count(row, "false_rejects"),
    "escapes": lambda row: _count(row, "escapes"),
    "x real time": lambda row: _number(row.get("realtime_ratio"), 0),
}


def print_table(rows: list[Row]) -> None:
    """Print one line a row, and what got stuck beneath."""
    table = Table(*COLUMNS, title="Stacking, by the judge; pooled over seeds", title_justify="left")
    for row in rows:
        table.add_row(*(value(row) for value in COLUMNS.values()))
    console = Console()
    console.print(table)
    for row in rows:
        for words in row["stuck"]:
            console.print(f"{_name(row)}: {words}")


def markdown(rows: list[Row]) -> str:
    """The same for a document: a line a figure, so that it fits a page."""
    name, *figures = COLUMNS
    lines = [["figure", *(COLUMNS[name](row) for row in rows)], ["---"] * (len(rows) + 1)]
    lines += [[figure, *(COLUMNS[figure](row) for row in rows)] for figure in figures]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)
