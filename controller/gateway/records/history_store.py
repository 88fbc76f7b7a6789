"""History on disk: chosen values, events and alarms, in a database of its own, forgotten in time."""

import json
import sqlite3
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
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
create table if not exists conditions (name text primary key, body text not null);
create table if not exists alarms (name text not null, body text not null);
"""
FORGET_EVERY_S = 3600.0
ALARMS_MAX = 100
# 3 GB, however much happens in the days that are asked for.
ROWS_MAX = {"samples": 20_000_000, "events": 300_000}


@dataclass
class Batch:
    """What is written together: a killed gateway has told all of it, or will tell all of it again."""

    samples: list[tuple[str, int, str | None, int]] = field(default_factory=list)
    events: list[tuple[int, str]] = field(default_factory=list)
    conditions: dict[str, str] = field(default_factory=dict)
    alarms: list[tuple[str, str]] = field(default_factory=list)
    seen: list[tuple[str, int]] = field(default_factory=list)


class HistoryFile:
    """Values, events and alarms of the past; written in batches, read by any thread."""

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
        self._batch = Batch()
        self._forget_s = 0.0

    # -- what is to be written ------------------------------------------------------------------

    def add_value(self, node: str, time_ns: int, value: Any, status: int) -> None:
        """Take a value."""
        text = None if value is None else json.dumps(value)
        self._batch.samples.append((node, time_ns, text, status))

    def add_event(self, time_ns: int, body: dict[str, Any]) -> None:
        """Take an event."""
        self._batch.events.append((time_ns, json.dumps(body)))

    def set_condition(self, name: str, body: dict[str, Any]) -> None:
        """Take an alarm's present condition."""
        self._batch.conditions[name] = json.dumps(body)

    def add_alarm(self, name: str, body: dict[str, Any]) -> None:
        """Take an alarm's condition as it came or went, for the list of the last hundred."""
        self._batch.alarms.append((name, json.dumps(body)))

    def mark_seen(self, run: str, sequence: int) -> None:
        """Note up to which sequence a run's events were told."""
        self._batch.seen.append((run, sequence))

    def take(self) -> Batch:
        """Return what was taken since the last time; the thread that adds is the one that takes."""
        batch, self._batch = self._batch, Batch()
        return batch

    def write(self, batch: Batch) -> None:
        """Write a batch, all or nothing, and forget what is too old (blocking)."""
        with self._lock:
            if batch != Batch():
                self._write(batch)
            if time.monotonic() >= self._forget_s:
                self._forget_s = time.monotonic() + FORGET_EVERY_S
                self._forget()

    def _write(self, batch: Batch) -> None:
        self._db.execute("begin")
        with self._db:
            self._db.executemany("insert into samples values (?, ?, ?, ?)", batch.samples)
            self._db.executemany("insert into events values (?, ?)", batch.events)
            conditions = batch.conditions.items()
            self._db.executemany("insert or replace into conditions values (?, ?)", conditions)
            self._db.executemany("insert into alarms values (?, ?)", batch.alarms)
            if batch.alarms:
                self._db.execute(_TOO_MANY.format("alarms"), (ALARMS_MAX,))
            self._db.executemany("insert or replace into seen values (?, ?)", batch.seen)

    def _forget(self) -> None:
        oldest = time.time_ns() - int(self._days * 86_400e9)
        for table, rows_max in ROWS_MAX.items():
            self._db.execute(_TOO_OLD.format(table), (oldest,))
            self._db.execute(_TOO_MANY.format(table), (rows_max,))

    # -- what was written -----------------------------------------------------------------------

    def seen(self, run: str) -> int:
        """Return up to which sequence a run's events were told, 0 for none."""
        with self._lock:
            row = self._db.execute("select sequence from seen where run = ?", (run,)).fetchone()
        return int(row[0]) if row else 0

    def conditions(self) -> dict[str, dict[str, Any]]:
        """Return each alarm's condition by name."""
        with self._lock:
            rows = self._db.execute("select name, body from conditions").fetchall()
        return {name: json.loads(body) for name, body in rows}

    def alarms(self) -> list[tuple[str, dict[str, Any]]]:
        """Return the last hundred alarms that came or went, newest first."""
        with self._lock:
            rows = self._db.execute("select name, body from alarms order by rowid desc").fetchall()
        return [(name, json.loads(body)) for name, body in rows]

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
        self.write(self.take())
        self._db.close()


def _bounds(start_ns: int, end_ns: int) -> tuple[int, int]:
    low, high = sorted((start_ns, end_ns))
    return low, min(high, (1 << 63) - 1)


# Rows come in the order of their time, so the oldest are found without a look at all of them.
_TOO_OLD = (
    "delete from {0} where rowid < "
    "coalesce((select rowid from {0} where time_ns >= ? order by rowid limit 1), 1 << 62)"
)
_TOO_MANY = "delete from {0} where rowid <= (select max(rowid) from {0}) - ?"
_VALUES = (
    "select time_ns, value, status from samples where node = ? and time_ns between ? and ? "
    "order by time_ns, rowid limit ?"
)
_EVENTS = "select body from events where time_ns between ? and ? order by time_ns, rowid limit ?"
_VALUES_BACK, _EVENTS_BACK = (
    each.replace("time_ns, rowid", "time_ns desc, rowid desc") for each in (_VALUES, _EVENTS)
)
