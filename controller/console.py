"""What a person at the terminal sees of a running machine: one live line."""

import time
from typing import Any, Self

import numpy as np
from rich.console import Console
from rich.live import Live
from rich.text import Text

from controller.shared.alarms import AlarmId
from controller.shared.conditions import ConditionId
from controller.shared.histogram import percentile_ns
from controller.shared.packml import State
from controller.shared.status import Phase
from controller.shared.view import SharedView

PLAIN_LINE_EVERY_S = 5.0


class StatusLine:
    """The live line on a terminal; a plain line now and then where there is none."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._plain_next_s = 0.0

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def say(self, text: str) -> None:
        """Print a line above the live one."""
        self._console.print(Text(text), soft_wrap=True)

    def show(self, view: SharedView) -> None:
        """Show the machine as it is now."""
        line = status_text(view)
        if line is None:
            return
        if self._console.is_terminal:
            self._live.update(Text(line, no_wrap=True, overflow="ellipsis"), refresh=True)
        elif time.monotonic() >= self._plain_next_s:
            self._plain_next_s = time.monotonic() + PLAIN_LINE_EVERY_S
            self.say(line)


def status_text(view: SharedView) -> str | None:
    """Return the machine's state in one line, None before the core has published any."""
    machine, station, statistics = view.read_machine(), view.read_station(0), view.read_statistics()
    if machine is None or station is None or statistics is None:
        return None
    late_us = percentile_ns(statistics["histogram"][Phase.LATENESS], 0.99) * 1e-3
    overlay_um = 1e6 * np.hypot(station["overlay_x_m"], station["overlay_y_m"])
    parts = [
        State(int(machine["state"])).name.capitalize(),
        f"cells {int(machine['cells_good'])} good {int(machine['cells_rejected'])} rejected",
        f"sheet {int(station['sheet'])}/{int(station['sheets'])}",
        f"{float(station['seconds_per_sheet']):.3f} s/sheet",
        f"overlay {overlay_um:.0f} um",
        f"tension {float(station['tension_n']):.2f} N",
        f"late p99 {late_us:.0f} us",
        f"overruns {int(statistics['overruns'])}",
        *reasons(machine),
    ]
    if int(station["wrapping_cell"]):
        parts.insert(3, f"wrapping cell {int(station['wrapping_cell'])}")
    return " | ".join(parts)


def reasons(machine: Any) -> list[str]:
    """Return why the machine stands: its first alarm and its start inhibits, in words."""
    found = []
    if int(machine["stop_reason"]):
        found.append("first out " + _words(AlarmId(int(machine["stop_reason"])).name))
    bits = int(machine["start_inhibits"])
    inhibits = [_words(c.name) for c in ConditionId if bits >> c & 1]
    if inhibits:
        found.append("start needs " + ", ".join(inhibits))
    return found


def _words(name: str) -> str:
    return name.lower().replace("_", " ")
