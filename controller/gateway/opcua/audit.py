"""The audit log: one JSON line for everything that touches security or the machine; append only."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ANYBODYS_LINES_A_MINUTE_MAX = 100


class AuditLog:
    """Appends lines and syncs them: what was audited survives the process."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._minute_s = float("-inf")
        self._written = self._held_back = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(path, flags, 0o600)
        self.on_write: Callable[[dict[str, Any]], None] = lambda row: None

    def write(self, action: str, **details: Any) -> None:
        """Append one line; a string from outside is shortened, JSON keeps it on its line."""
        row = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "action": action}
        row |= {key: _short(value) for key, value in details.items() if value is not None}
        os.write(self._descriptor, (json.dumps(row, default=str) + "\n").encode())
        self.on_write(row)

    def write_limited(self, action: str, **details: Any) -> bool:
        """Append a line that anybody on the network can cause; tell whether it was written.

        Beyond a hundred a minute they are counted; the count comes with the first of a later minute.
        """
        now_s = self._clock()
        if now_s >= self._minute_s + 60.0:
            if self._held_back:
                self.write(action, status="not written", count=self._held_back)
            self._minute_s, self._written, self._held_back = now_s, 0, 0
        if self._written >= ANYBODYS_LINES_A_MINUTE_MAX:
            self._held_back += 1
            return False
        self._written += 1
        self.write(action, **details)
        return True

    def close(self) -> None:
        """Sync and close the file."""
        os.fsync(self._descriptor)
        os.close(self._descriptor)


def _short(value: Any) -> Any:
    return value[:200] if isinstance(value, str) else value
