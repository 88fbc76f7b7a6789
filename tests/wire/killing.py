"""Killing a process that writes to a database at a moment that is known: within a write, or at any."""

import contextlib
import os
import signal
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

PATIENCE_S = 10.0


def is_writing(database: Path) -> bool:
    """Tell whether some process is within a transaction that writes."""
    with contextlib.closing(sqlite3.connect(database, timeout=0, isolation_level=None)) as probe:
        try:
            probe.execute("begin immediate")
        except sqlite3.OperationalError:
            return True
        probe.execute("rollback")
        return False


def kill(pids: Sequence[int], database: Path, within_write: bool) -> bool:
    """Freeze processes, look, and kill them; tell whether they died within a write.

    With `within_write` they run on until they are caught writing, for ten seconds at most.
    """
    end_s = time.monotonic() + PATIENCE_S
    while True:
        _send(pids, signal.SIGSTOP)
        caught = is_writing(database)
        if caught or not within_write or time.monotonic() > end_s:
            break
        _send(pids, signal.SIGCONT)
    _send(pids, signal.SIGKILL)
    return caught


def _send(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
