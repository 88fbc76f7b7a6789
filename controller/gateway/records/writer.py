"""The record writer: a small process that moves cell records from the core's ring to the outbox.

`python -m controller.gateway.records.writer --memory-fd N --database P --software H`, started by the
gateway. It prints `stored N` after each durable write; the gateway acknowledges to the core no more
than that. It may be killed at any instant.
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from controller.child import follow_parent
from controller.gateway.records.outbox import Outbox
from controller.shared.layout import ProcessId
from controller.shared.records import RECORDS_MAX
from controller.shared.view import SharedView, map_memory

TURN_S = 0.02
BATCH_MAX = 64


class RecordWriter:
    """Stores what is new, in order and without gaps."""

    def __init__(self, view: SharedView, outbox: Outbox, software: str) -> None:
        self._view = view
        self._outbox = outbox
        self._software = software
        self._run = view.run.hex
        self.stored = outbox.newest_counter(self._run)

    def turn(self) -> bool:
        """Store new records; tell whether there were any."""
        records = self._in_order()
        if not records:
            return False
        offset_ns = time.time_ns() - time.monotonic_ns()
        self.stored = self._outbox.store(self._run, records, offset_ns, self._software)
        return True

    def _in_order(self) -> list[Any]:
        """Return new records up to the first that is missing: it is being written, and comes next."""
        newest = int(self._view.memory["records"]["newest"])
        expected = max(self.stored, newest - RECORDS_MAX) + 1
        records = []
        for record in self._view.read_records(expected - 1)[:BATCH_MAX]:
            if int(record["counter"]) != expected:
                break
            records.append(record)
            expected += 1
        return records


def run(writer: RecordWriter, tell: Callable[[int], None], ending: Callable[[], bool]) -> None:
    """Write until told to end; `tell` hears each newest counter that is durable."""
    tell(writer.stored)
    while not ending():
        if writer.turn():
            tell(writer.stored)
        else:
            time.sleep(TURN_S)


def main() -> int:
    """Entry point; returns the exit status."""
    parser = argparse.ArgumentParser(prog="controller.gateway.records.writer")
    parser.add_argument("--memory-fd", type=int, required=True)
    parser.add_argument("--database", type=Path, required=True)
    parser.add_argument("--software", default="")
    arguments = parser.parse_args()
    os.umask(0o077)
    follow_parent()
    ended = []

    def end(number: int, frame: FrameType | None) -> None:
        ended.append(number)

    signal.signal(signal.SIGTERM, end)
    # It reads only: the gateway's place in the memory stays the gateway's.
    view = SharedView(map_memory(arguments.memory_fd), ProcessId.GATEWAY)
    run(
        RecordWriter(view, Outbox(arguments.database), arguments.software),
        lambda counter: _say(f"stored {counter}\n"),
        lambda: bool(ended),
    )
    return 0


def _say(line: str) -> None:
    sys.stdout.write(line)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
