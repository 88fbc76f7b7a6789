"""The gateway's side of the record writer: starts it, passes on what is durable, starts it again."""

import asyncio
import contextlib
import sys
from collections.abc import Callable
from pathlib import Path

import structlog

from controller.shared.commands import CommandCode
from controller.shared.view import SharedView

BACK_OFF_S_MIN, BACK_OFF_S_MAX = 0.1, 5.0
log = structlog.get_logger("records")


class RecordLink:
    """Acknowledges to the core what the writer has stored, and nothing else."""

    def __init__(self, view: SharedView, memory_fd: int, database: Path, software: str) -> None:
        self._view = view
        self._memory_fd = memory_fd
        self._arguments = [
            "--memory-fd", str(memory_fd), "--database", str(database), "--software", software,
        ]  # fmt: skip
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self.stored = 0
        self._acknowledged = 0
        self.on_stored: Callable[[int], None] = lambda counter: None

    @property
    def pid(self) -> int | None:
        """The writer's process id, None while there is none."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Start the writer and keep it alive."""
        self._task = asyncio.get_running_loop().create_task(self._keep_alive())

    async def stop(self) -> None:
        """End the writer; what it was writing it writes whole."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()

    async def _keep_alive(self) -> None:
        back_off_s = BACK_OFF_S_MIN
        while True:
            before = self.stored
            await self._run_writer()
            log.error("record writer ended", restart_in_s=back_off_s)
            await asyncio.sleep(back_off_s)
            grown = min(2.0 * back_off_s, BACK_OFF_S_MAX)
            back_off_s = BACK_OFF_S_MIN if self.stored > before else grown

    async def _run_writer(self) -> None:
        module = ["-m", "controller.gateway.records.writer"]
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, *module, *self._arguments,
            stdout=asyncio.subprocess.PIPE, pass_fds=(self._memory_fd,),
        )  # fmt: skip
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            word, _, number = line.decode(errors="replace").strip().partition(" ")
            if word == "stored" and number.isdigit():
                self.stored = int(number)
                self.on_stored(self.stored)
        await self._process.wait()

    def acknowledge(self) -> None:
        """Tell the core what is durable, again and again until it took it."""
        if self.stored == self._acknowledged:
            return
        with contextlib.suppress(RuntimeError):  # its lane is full: next turn
            self._view.send(CommandCode.ACKNOWLEDGE_RECORDS, value=float(self.stored))
            self._acknowledged = self.stored
