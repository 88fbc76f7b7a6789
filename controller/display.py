"""Tables and progress for people at a terminal."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from controller.settings.axes import AxisSettings
from controller.settings.machine import StationSettings

# Heading and field of the columns that tell most about an axis.
_AXIS_COLUMNS = {
    "min": "position_min_m",
    "max": "position_max_m",
    "velocity": "velocity_max_m_s",
    "accel.": "acceleration_max_m_s2",
    "jerk": "jerk_max_m_s3",
    "mass": "mass_kg",
    "peak": "force_peak_n",
    "rms": "force_rms_n",
}


def print_values(title: str, values: dict[str, Any]) -> None:
    """Print nested values as a table, a row for each group of keys."""
    table = Table("part", "values", title=title, title_justify="left")
    for part, group in _groups(values):
        table.add_row(
            part or title.lower(),
            ", ".join(f"{key} {_text(value)}" for key, value in group.items()),
        )
    Console().print(table)


def show_result(title: str, values: dict[str, Any], as_json: bool) -> None:
    """Print a result for a person, or as one JSON object for a program."""
    if as_json:
        print(json.dumps(values, allow_nan=False))
    else:
        print_values(title, values)


def print_axes(station: StationSettings) -> None:
    """Print a station's axes as a table, a row for each kind of axis."""
    table = Table("axis", "unit", title=f"{station.name}: axes in SI", title_justify="left")
    for heading in _AXIS_COLUMNS:
        table.add_column(heading, justify="right")
    for kind, axis in station.axes:
        numbers = (getattr(axis.values, name) for name in _AXIS_COLUMNS.values())
        unit = "m, N" if isinstance(axis, AxisSettings) else "rad, N m"
        table.add_row(kind, unit, *(f"{number:g}" for number in numbers))
    Console().print(table)


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[float], None]]:
    """A bar on standard error; the function it gives takes the share done, 0 to 1."""
    columns = (TextColumn(what), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=1.0)
        yield lambda share: progress.update(task, completed=share)


@contextmanager
def compiling() -> Iterator[Callable[[int, str], None]]:
    """A line on standard error; the function it gives takes the count and name of a function."""
    console = Console(stderr=True)
    first = "compiling for this processor; this happens once"
    with console.status(first) as status:
        yield lambda count, name: status.update(f"{first}: {count} functions, {name}")


def _groups(values: dict[str, Any], part: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Each mapping that holds plain values, with its dotted name, outermost first."""
    inner: dict[str, dict[str, Any]] = {}
    plain: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{part}.{key}" if part else str(key)
        if isinstance(value, dict):
            inner[name] = value
        elif isinstance(value, list | tuple) and value and isinstance(value[0], dict):
            inner |= {f"{name}[{index}]": entry for index, entry in enumerate(value)}
        else:
            plain[key] = value
    if plain:
        yield part, plain
    for name, group in inner.items():
        yield from _groups(group, name)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, list | tuple):
        return "; ".join(map(_text, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
