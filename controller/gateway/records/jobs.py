"""Job orders (ISA-95 job control, OPC 10031-4): their states as a table, kept in the outbox's database."""

import json
import time
from dataclasses import dataclass, replace
from enum import StrEnum

from controller.gateway.records.outbox import Outbox

JOBS_MAX = 50
QUANTITY_MAX = 1_000_000


class JobState(StrEnum):
    """The states of a job order, as the model names them."""

    NOT_ALLOWED = "NotAllowedToStart"
    ALLOWED = "AllowedToStart"
    RUNNING = "Running"
    INTERRUPTED = "Interrupted"
    ENDED = "Ended"
    ABORTED = "Aborted"


class JobCommand(StrEnum):
    """What can be asked for a stored job order."""

    START = "Start"
    REVOKE_START = "RevokeStart"
    PAUSE = "Pause"
    RESUME = "Resume"
    STOP = "Stop"
    ABORT = "Abort"
    UPDATE = "Update"
    CANCEL = "Cancel"
    CLEAR = "Clear"


_S, _C = JobState, JobCommand
_WAITING = (_S.NOT_ALLOWED, _S.ALLOWED)
_STARTED = (_S.RUNNING, _S.INTERRUPTED)

# None: the job order is gone. RUNNING by itself comes from the machine, when it is free for the job.
TRANSITIONS: dict[tuple[JobState, JobCommand], JobState | None] = {
    (_S.NOT_ALLOWED, _C.START): _S.ALLOWED,
    (_S.ALLOWED, _C.REVOKE_START): _S.NOT_ALLOWED,
    (_S.RUNNING, _C.PAUSE): _S.INTERRUPTED,
    (_S.INTERRUPTED, _C.RESUME): _S.RUNNING,
    **{(state, _C.STOP): _S.ENDED for state in _STARTED},
    **{(state, _C.ABORT): _S.ABORTED for state in (*_WAITING, *_STARTED)},
    **{(state, _C.UPDATE): state for state in _WAITING},
    **{(state, _C.CANCEL): None for state in _WAITING},
    **{(state, _C.CLEAR): None for state in (_S.ENDED, _S.ABORTED)},
}


@dataclass(frozen=True)
class Job:
    """One job order; `order` is what the MES sent, encoded, for its own eyes."""

    id: str
    recipe: str
    quantity: int
    parameters: dict[str, float]
    lots: dict[str, str]
    order: bytes
    priority: int = 0
    state: JobState = JobState.NOT_ALLOWED
    started_ns: int | None = None
    ended_ns: int | None = None
    note: str = ""
    sequence: int = 0


class Jobs:
    """The job orders of a machine; every change is durable before it is answered."""

    def __init__(self, outbox: Outbox) -> None:
        self._db = outbox.connection

    def all(self) -> list[Job]:
        """Return every job order, in the order they were stored."""
        return self._select("order by sequence", ())

    def find(self, job_id: str) -> Job | None:
        """Return a job order."""
        found = self._select("where id = ?", (job_id,))
        return found[0] if found else None

    def store(self, job: Job) -> None:
        """Store a new job order or replace it."""
        known = self.find(job.id)
        (newest,) = self._db.execute("select max(sequence) from jobs").fetchone()
        sequence = known.sequence if known else (newest or 0) + 1
        row = (
            job.id, sequence, job.state.value, 0, job.recipe, job.quantity, job.priority,
            json.dumps({"lots": job.lots, "parameters": job.parameters}), job.order,
            job.started_ns, job.ended_ns, job.note,
        )  # fmt: skip
        marks = ",".join("?" * len(row))
        self._db.execute(f"insert or replace into jobs values ({marks})", row)  # noqa: S608

    def remove(self, job: Job) -> None:
        """Forget a job order; its cells' records keep its name."""
        self._db.execute("delete from jobs where id = ?", (job.id,))

    def enter(self, job: Job, state: JobState, note: str = "") -> Job:
        """Bring a job order into a state."""
        now = time.time_ns()
        changed = replace(job, state=state, note=note)
        if state == JobState.RUNNING and job.started_ns is None:
            changed = replace(changed, started_ns=now)
        if state in (JobState.ENDED, JobState.ABORTED):
            changed = replace(changed, ended_ns=now)
        self.store(changed)
        return changed

    def started(self) -> Job | None:
        """Return the job order in work, running or interrupted."""
        found = self._select("where state in ('Running', 'Interrupted') order by started_ns", ())
        return found[0] if found else None

    def next_allowed(self) -> Job | None:
        """Return the job order to start next: by priority, then as stored."""
        found = self._select("where state = 'AllowedToStart' order by priority desc, sequence", ())
        return found[0] if found else None

    def good_cells(self, job: Job) -> int:
        """Return how many good cells of a job order are stored."""
        query = "select count(*) from records where job = ? and verdict = 1"
        return int(self._db.execute(query, (job.id,)).fetchone()[0])

    def _select(self, where: str, values: tuple[object, ...]) -> list[Job]:
        columns = 'id, recipe, quantity, lots, "order", priority, state, started_ns, ended_ns, note, sequence'
        query = f"select {columns} from jobs {where}"  # noqa: S608 (no value of a client)
        return [_job(row) for row in self._db.execute(query, values)]


def _job(row: tuple) -> Job:  # type: ignore[type-arg]
    job_id, recipe, quantity, extra, order, priority, state, started, ended, note, sequence = row
    held = json.loads(extra)
    return Job(
        id=job_id,
        recipe=recipe,
        quantity=quantity,
        parameters=held["parameters"],
        lots=held["lots"],
        order=order,
        priority=priority,
        state=JobState(state),
        started_ns=started,
        ended_ns=ended,
        note=note,
        sequence=sequence,
    )
