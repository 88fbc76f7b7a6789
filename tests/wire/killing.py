"""Killing a process that writes to a database at a moment that is known: within a write, or at any."""

import contextlib
import os
import signal
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path

PATIENCE_S = 60.0


def is_writing(database: Path) -> bool:
    """Tell whether some process is within a transaction that writes."""
    with contextlib.closing(sqlite3.connect(database, timeout=0, isolation_level=None)) as probe:
        try:
            probe.execute("begin immediate")
        except sqlite3.OperationalError:
            return True
        probe.execute("rollback")
        return False


def kill(pids: Sequence[int], database: Path, keep_busy: Callable[[], None] | None = None) -> bool:
    """Freeze processes, look, and kill them; tell whether they died within a write.

    With `keep_busy`, which gives them something to write, they run on until they are caught writing.
    """
    end_s = time.monotonic() + PATIENCE_S
    while True:
        _send(pids, signal.SIGSTOP)
        caught = is_writing(database)
        if caught or keep_busy is None or time.monotonic() > end_s:
            break
        _send(pids, signal.SIGCONT)
        keep_busy()
    _send(pids, signal.SIGKILL)
    return caught


def _send(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
