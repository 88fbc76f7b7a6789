"""Drives the machine through its job orders; the machine decides, the engine only asks.

A job runs until its good cells are stored. What a person stopped (Stopped, Aborted, Held) stays a
person's to resume: the engine starts only from Idle and Complete, and only in Production.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from controller.gateway.opcua.commands import Commands
from controller.gateway.opcua.registry import Refused
from controller.gateway.records.jobs import TRANSITIONS, Job, JobCommand, Jobs, JobState
from controller.gateway.snapshot import Snapshot
from controller.shared.commands import CommandCode
from controller.shared.packml import Mode, State

RETRY_S = 1.0
_READY = (State.IDLE, State.COMPLETE, State.EXECUTE)
_MACHINE = {
    JobCommand.PAUSE: CommandCode.SUSPEND,
    JobCommand.RESUME: CommandCode.UNSUSPEND,
    JobCommand.STOP: CommandCode.COMPLETE,
    JobCommand.ABORT: CommandCode.STOP,
}
log = structlog.get_logger("jobs")


class JobEngine:
    """One turn after the other: end what is done, start what is allowed."""

    def __init__(
        self,
        jobs: Jobs,
        commands: Commands,
        activate: Callable[[Job], Awaitable[str]],
        coming: Callable[[], tuple[str, dict[str, float]]],
        use_lots: Callable[[dict[str, str]], None],
    ) -> None:
        self._jobs = jobs
        self._commands = commands
        self._activate = activate
        self._coming = coming
        self._use_lots = use_lots
        self._task: asyncio.Task[None] | None = None
        self._retry_s = 0.0
        self.on_change: Callable[[Job], None] = lambda job: None

    async def obey(self, job: Job, command: JobCommand) -> None:
        """Carry out a command for a job order; Refused where the machine refuses."""
        following = TRANSITIONS[job.state, command]
        started = job.state in (JobState.RUNNING, JobState.INTERRUPTED)
        if started and command in _MACHINE:
            await self._ask(command)
        if following is None:
            self._jobs.remove(job)
        else:
            self._enter(job, following, f"{command.value} by the plant")

    async def _ask(self, command: JobCommand) -> None:
        try:
            await self._commands.send(_MACHINE[command])
        except Refused:
            # Ending a job needs no machine that is at rest anyway; pausing needs one that works.
            if command in (JobCommand.PAUSE, JobCommand.RESUME):
                raise

    def _enter(self, job: Job, state: JobState, note: str = "") -> Job:
        changed = self._jobs.enter(job, state, note)
        log.info("job", job=job.id, state=state.value, note=note)
        self.on_change(changed)
        return changed

    def turn(self, snapshot: Snapshot) -> None:
        """Look at the machine and act once at most; never waits."""
        if not snapshot.alive or snapshot.machine is None:
            return
        if self._task is not None and not self._task.done():
            return
        job = self._jobs.started()
        if job is not None and self._jobs.good_cells(job) >= job.quantity:
            self._enter(job, JobState.ENDED, "complete")
            return
        if time.monotonic() < self._retry_s or snapshot.machine["mode"] != Mode.PRODUCTION:
            return
        state = State(int(snapshot.machine["state"]))
        step = self._next_step(job, state, snapshot)
        if step is not None:
            self._task = asyncio.get_running_loop().create_task(self._act(step))

    def _next_step(
        self, job: Job | None, state: State, snapshot: Snapshot
    ) -> Callable[[], Awaitable[None]] | None:
        if job is None:
            allowed = self._jobs.next_allowed()
            if allowed is None and state == State.COMPLETE and snapshot.machine["cells_requested"]:
                return self._give_back
            if allowed is None or state not in _READY:
                return None
            return lambda: self._begin(allowed)
        if job.state != JobState.RUNNING:
            return None
        if state == State.COMPLETE:
            return lambda: self._commands.send(CommandCode.RESET)
        if state == State.IDLE and not snapshot.machine["start_inhibits"]:
            left = job.quantity - self._jobs.good_cells(job)
            return lambda: self._start_machine(left)
        return None

    async def _act(self, step: Callable[[], Awaitable[None]]) -> None:
        try:
            await step()
        except Refused as refused:
            log.warning("the machine refused a job's step", reason=str(refused))
        self._retry_s = time.monotonic() + RETRY_S

    async def _begin(self, job: Job) -> None:
        if self._coming() != (job.recipe, job.parameters):
            reason = await self._activate(job)
            if reason:
                self._enter(job, JobState.ABORTED, reason)
                return
        self._use_lots(job.lots)
        self._enter(job, JobState.RUNNING)

    async def _give_back(self) -> None:
        """A job's count is made: the next Start is a person's, and without end."""
        await self._commands.send(CommandCode.SET_CELLS, value=0.0)

    async def _start_machine(self, cells: int) -> None:
        await self._commands.send(CommandCode.SET_CELLS, value=float(cells))
        await self._commands.send(CommandCode.START)
