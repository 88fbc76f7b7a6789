"""What the gateway knows of the machine at one moment: copies that were certified whole."""

import datetime
import time
from dataclasses import dataclass, field
from typing import Any

from controller.shared.view import SharedView


@dataclass
class Snapshot:
    """Status records by name; None where the core has published nothing yet."""

    now: datetime.datetime
    alive: bool = False
    machine: Any = None
    stations: list[Any] = field(default_factory=list)
    statistics: Any = None
    records_pending: int = 0

    def time_of(self, time_ns: int) -> datetime.datetime:
        """Return the wall-clock time of a monotonic time."""
        return wall_time(time_ns)


def wall_time(monotonic_ns: int) -> datetime.datetime:
    """Return the UTC time of a CLOCK_MONOTONIC reading."""
    return datetime.datetime.fromtimestamp(wall_ns(monotonic_ns) * 1e-9, datetime.UTC)


def wall_ns(monotonic_ns: int) -> int:
    """Return nanoseconds since 1970 of a CLOCK_MONOTONIC reading."""
    return int(monotonic_ns) + time.time_ns() - time.monotonic_ns()


def take_snapshot(view: SharedView) -> Snapshot:
    """Copy everything that is published."""
    machine = view.read_machine()
    stations = [view.read_station(index) for index in range(view.station_count)]
    return Snapshot(
        now=datetime.datetime.now(datetime.UTC),
        alive=view.core_alive(time.monotonic_ns()),
        machine=machine,
        stations=stations,
        statistics=view.read_statistics(),
    )
