"""The outbox: finished cells, durable before they are acknowledged to the core, kept until the MES has them.

SQLite with WAL and synchronous=FULL: a row is on the disk when its transaction returns. A cell is keyed by
the run's UUID and its counter, so that offering the same record twice stores it once.
"""

import json
import sqlite3
import time
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.gateway.records.content import content_of

SCHEMA = """
create table if not exists records (
    sequence integer primary key autoincrement,
    run text not null, counter integer not null, cell integer not null, station integer not null,
    verdict integer not null, serial text, job text, lots text not null, recipe text,
    plan text not null, software text not null,
    started_ns integer not null, finished_ns integer not null, stored_ns integer not null,
    acknowledged_ns integer, body blob not null,
    unique (run, counter)
);
create index if not exists records_open on records (sequence) where acknowledged_ns is null;
create index if not exists records_job on records (job);
create table if not exists jobs (
    id text primary key, sequence integer not null, state text not null, paused integer not null,
    recipe text not null, quantity integer not null, priority integer not null, lots text not null,
    "order" blob not null, started_ns integer, ended_ns integer, note text not null default ''
);
create table if not exists material (position text primary key, lot text not null, since_ns integer);
create table if not exists serials (
    sequence integer primary key autoincrement, serial text not null unique, used integer not null
);
create table if not exists plans (plan text primary key, recipe text not null);
create table if not exists plan_parameters (plan text primary key, parameters text not null);
"""
BUSY_S = 10.0


@dataclass(frozen=True)
class StoredRecord:
    """One cell as the plant sees it; times in nanoseconds since 1970."""

    sequence: int
    run: str
    counter: int
    cell: int
    station: int
    verdict: int
    serial: str | None
    job: str | None
    lots: dict[str, str]
    recipe: str | None
    plan: str
    software: str
    started_ns: int
    finished_ns: int
    stored_ns: int
    acknowledged_ns: int | None
    content: dict[str, Any]

    @property
    def result_id(self) -> str:
        """The same for the same cell, whenever it is offered."""
        return f"{self.run}:{self.counter}"


_COLUMNS = (
    "sequence, run, counter, cell, station, verdict, serial, job, lots, recipe, plan, software, "
    "started_ns, finished_ns, stored_ns, acknowledged_ns, body"
)


class Outbox:
    """One connection to the outbox; a thread or process has its own."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
        self._db.execute("pragma journal_mode = wal")
        self._db.execute("pragma synchronous = full")
        self._db.executescript(SCHEMA)

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    # -- records --------------------------------------------------------------------------------

    def newest_counter(self, run: str) -> int:
        """Return the newest counter stored of a run, 0 without."""
        (newest,) = self._db.execute(
            "select max(counter) from records where run = ?", (run,)
        ).fetchone()
        return newest or 0

    def store(self, run: str, records: Iterable[Any], wall_offset_ns: int, software: str) -> int:
        """Store CELL_RECORD_DTYPE records in one durable transaction; return the newest counter.

        Lots, job and serial number are those that hold when the record is stored. A record that is
        there already stays as it is.
        """
        with self._transaction():
            for record in records:
                self._insert(run, record, wall_offset_ns, software)
        return self.newest_counter(run)

    def _insert(self, run: str, record: Any, wall_offset_ns: int, software: str) -> None:
        counter = int(record["counter"])
        present = "select 1 from records where run = ? and counter = ?"
        if self._db.execute(present, (run, counter)).fetchone():
            return
        content = content_of(record)
        job = self._running_job()
        body = zlib.compress(json.dumps(content, separators=(",", ":")).encode())
        row = (
            run, counter, content["cell"], content["station"], int(record["verdict"]),
            self._next_serial(), job, json.dumps(self.material()), self.recipe_of(content["plan"]),
            content["plan"], software, int(record["started_ns"]) + wall_offset_ns,
            int(record["finished_ns"]) + wall_offset_ns, time.time_ns(), body,
        )  # fmt: skip
        names = _COLUMNS.replace("sequence, ", "").replace("acknowledged_ns, ", "")
        self._db.execute(f"insert into records ({names}) values ({','.join('?' * 15)})", row)  # noqa: S608

    def _running_job(self) -> str | None:
        query = (
            "select id from jobs where state = 'Running' and quantity > "
            "(select count(*) from records where job = jobs.id and verdict = 1) "
            "order by started_ns limit 1"
        )
        found = self._db.execute(query).fetchone()
        return found[0] if found else None

    def _next_serial(self) -> str | None:
        query = "select sequence, serial from serials where used = 0 order by sequence limit 1"
        found = self._db.execute(query).fetchone()
        if found is None:
            return None
        self._db.execute("update serials set used = 1 where sequence = ?", (found[0],))
        return str(found[1])

    def record(self, result_id: str) -> StoredRecord | None:
        """Return a record by its result id."""
        run, _, counter = result_id.rpartition(":")
        if not counter.isdigit() or len(counter) > 18:
            return None
        found = self._select("where run = ? and counter = ?", (run, int(counter)))
        return found[0] if found else None

    def after(self, sequence: int, count: int) -> list[StoredRecord]:
        """Return up to `count` records stored after a sequence, in order."""
        return self._select("where sequence > ? order by sequence limit ?", (sequence, count))

    def open_records(self, count: int) -> list[StoredRecord]:
        """Return up to `count` records the MES has not acknowledged, in order."""
        return self._select("where acknowledged_ns is null order by sequence limit ?", (count,))

    def latest(self) -> StoredRecord | None:
        """Return the newest record."""
        found = self._select("order by sequence desc limit 1", ())
        return found[0] if found else None

    def of_job(self, job: str) -> list[StoredRecord]:
        """Return a job's records, in order."""
        return self._select("where job = ? order by sequence", (job,))

    def counts_of_job(self, job: str) -> dict[str, int]:
        """Return how many good and rejected cells of a job are stored."""
        query = "select sum(verdict = 1), sum(verdict != 1) from records where job = ?"
        good, rejected = self._db.execute(query, (job,)).fetchone()
        return {"GoodCells": good or 0, "RejectedCells": rejected or 0}

    def acknowledge(self, result_ids: Iterable[str]) -> list[bool]:
        """Note that the MES has these results; tell for each whether it is known."""
        known = []
        with self._transaction():
            for result_id in result_ids:
                run, _, counter = result_id.rpartition(":")
                number = int(counter) if counter.isdigit() and len(counter) <= 18 else -1
                query = (
                    "update records set acknowledged_ns = coalesce(acknowledged_ns, ?) "
                    "where run = ? and counter = ?"
                )
                changed = self._db.execute(query, (time.time_ns(), run, number)).rowcount
                known.append(changed == 1)
        return known

    def open_count(self) -> int:
        """Return how many results the MES has not acknowledged."""
        query = "select count(*) from records where acknowledged_ns is null"
        return int(self._db.execute(query).fetchone()[0])

    def last_sequence(self) -> int:
        """Return the sequence of the newest record, 0 without."""
        (newest,) = self._db.execute("select max(sequence) from records").fetchone()
        return newest or 0

    def _select(self, where: str, values: tuple[Any, ...]) -> list[StoredRecord]:
        query = f"select {_COLUMNS} from records {where}"  # noqa: S608 (no value of a client)
        return [_stored(row) for row in self._db.execute(query, values)]

    # -- what belongs to a cell -----------------------------------------------------------------

    def set_material(self, position: str, lot: str) -> None:
        """Note the lot that is now at a position."""
        query = "insert or replace into material (position, lot, since_ns) values (?, ?, ?)"
        self._db.execute(query, (position, lot, time.time_ns()))

    def material(self) -> dict[str, str]:
        """Return the lot at each position."""
        return dict(
            self._db.execute("select position, lot from material order by position").fetchall()
        )

    def add_serials(self, serials: Iterable[str]) -> None:
        """Queue serial numbers; sqlite3.IntegrityError if one was given before."""
        with self._transaction():
            rows = [(serial, 0) for serial in serials]
            self._db.executemany("insert into serials (serial, used) values (?, ?)", rows)

    def serials_left(self) -> int:
        """Return how many serial numbers wait for cells."""
        return int(self._db.execute("select count(*) from serials where used = 0").fetchone()[0])

    def name_plan(self, plan: str, recipe: str, parameters: dict[str, float] | None = None) -> None:
        """Note which recipe a plan was made from, and with which parameters changed."""
        with self._transaction():
            self._db.execute("insert or replace into plans values (?, ?)", (plan, recipe))
            query = "insert or replace into plan_parameters values (?, ?)"
            self._db.execute(query, (plan, json.dumps(parameters or {})))

    def recipe_of(self, plan: str) -> str | None:
        """Return the recipe a plan was made from, None where it is not known."""
        found = self._db.execute("select recipe from plans where plan = ?", (plan,)).fetchone()
        return found[0] if found else None

    def parameters_of(self, plan: str) -> dict[str, float]:
        """Return the parameters changed in the recipe that a plan was made from."""
        query = "select parameters from plan_parameters where plan = ?"
        found = self._db.execute(query, (plan,)).fetchone()
        return json.loads(found[0]) if found else {}

    # -- jobs -----------------------------------------------------------------------------------

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection, for the job table."""
        return self._db

    def _transaction(self) -> "_Transaction":
        return _Transaction(self._db)


class _Transaction:
    """BEGIN IMMEDIATE: two writers take turns instead of failing at their commit."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("begin immediate")

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        self._db.execute("commit" if kind is None else "rollback")


def _stored(row: tuple[Any, ...]) -> StoredRecord:
    values = list(row)
    values[8] = json.loads(values[8])
    values[-1] = json.loads(zlib.decompress(values[-1]))
    return StoredRecord(*values)
