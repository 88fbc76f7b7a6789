"""History on disk: chosen values and events, in a database of its own, forgotten after some days."""

import json
import sqlite3
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

SCHEMA = """
create table if not exists samples (
    node text not null, time_ns integer not null, value text, status integer not null
);
create index if not exists samples_at on samples (node, time_ns);
create table if not exists events (time_ns integer not null, body text not null);
create index if not exists events_at on events (time_ns);
create table if not exists seen (run text primary key, sequence integer not null);
"""
FORGET_EVERY_S = 3600.0


class HistoryFile:
    """Values and events of the past; written in batches, read by any thread."""

    def __init__(self, path: Path, days: float) -> None:
        self._days = days
        self._lock = threading.Lock()
        self._db = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, timeout=10.0
        )
        self._db.execute("pragma journal_mode = wal")
        # History may lose its last second at power loss; the outbox may not.
        self._db.execute("pragma synchronous = normal")
        self._db.executescript(SCHEMA)
        self._samples: list[tuple[str, int, str | None, int]] = []
        self._events: list[tuple[int, str]] = []
        self._seen: tuple[str, int] | None = None
        self._forget_s = 0.0

    def add_value(self, node: str, time_ns: int, value: Any, status: int) -> None:
        """Take a value, to be written with the next flush."""
        self._samples.append((node, time_ns, None if value is None else json.dumps(value), status))

    def add_event(self, time_ns: int, body: dict[str, Any]) -> None:
        """Take an event, to be written with the next flush."""
        self._events.append((time_ns, json.dumps(body)))

    def seen(self, run: str) -> int:
        """Return up to which sequence a run's events were told, 0 for none."""
        with self._lock:
            row = self._db.execute("select sequence from seen where run = ?", (run,)).fetchone()
        return int(row[0]) if row else 0

    def mark_seen(self, run: str, sequence: int) -> None:
        """Note up to which sequence a run's events were told, with the next flush."""
        self._seen = (run, sequence)

    def flush(self) -> None:
        """Write what was taken, and forget what is too old (blocking)."""
        samples, self._samples = self._samples, []
        events, self._events = self._events, []
        seen, self._seen = self._seen, None
        with self._lock:
            if samples or events or seen:
                self._db.execute("begin")
                if seen:
                    self._db.execute("insert or replace into seen values (?, ?)", seen)
                self._db.executemany("insert into samples values (?, ?, ?, ?)", samples)
                self._db.executemany("insert into events values (?, ?)", events)
                self._db.execute("commit")
            if time.monotonic() >= self._forget_s:
                self._forget_s = time.monotonic() + FORGET_EVERY_S
                oldest = time.time_ns() - int(self._days * 86_400e9)
                self._db.execute("delete from samples where time_ns < ?", (oldest,))
                self._db.execute("delete from events where time_ns < ?", (oldest,))

    def values(
        self, node: str, start_ns: int, end_ns: int, count: int
    ) -> Iterable[tuple[int, Any, int]]:
        """Return (time, value, status) of a span, ascending, or descending where it runs backwards."""
        with self._lock:
            low, high = _bounds(start_ns, end_ns)
            query = _VALUES if start_ns <= end_ns else _VALUES_BACK
            rows = self._db.execute(query, (node, low, high, count)).fetchall()
        return [
            (at, None if value is None else json.loads(value), status) for at, value, status in rows
        ]

    def events(self, start_ns: int, end_ns: int, count: int) -> list[dict[str, Any]]:
        """Return the events of a span, ascending, or descending where it runs backwards."""
        with self._lock:
            query = _EVENTS if start_ns <= end_ns else _EVENTS_BACK
            rows = self._db.execute(query, (*_bounds(start_ns, end_ns), count)).fetchall()
        return [json.loads(body) for (body,) in rows]

    def close(self) -> None:
        """Write what is left and close."""
        self.flush()
        self._db.close()


def _bounds(start_ns: int, end_ns: int) -> tuple[int, int]:
    low, high = sorted((start_ns, end_ns))
    return low, min(high, (1 << 63) - 1)


_VALUES = (
    "select time_ns, value, status from samples where node = ? and time_ns between ? and ? "
    "order by time_ns, rowid limit ?"
)
_EVENTS = "select body from events where time_ns between ? and ? order by time_ns, rowid limit ?"
_VALUES_BACK, _EVENTS_BACK = (
    each.replace("time_ns, rowid", "time_ns desc, rowid desc") for each in (_VALUES, _EVENTS)
)
