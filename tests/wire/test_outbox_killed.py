"""The record writer is killed again and again while cells finish: none is lost, none twice."""

import os
import random
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from controller.gateway.records.outbox import Outbox
from controller.gateway.records.writer import RecordWriter, run
from controller.shared.layout import ProcessId
from controller.shared.records import RECORDS_MAX
from controller.shared.view import SharedView, map_memory
from tests.wire import killing
from tests.wire.scripted_core import ScriptedCore

PATIENCE_S = 120.0


class HastyWriter(RecordWriter):
    """The control: it tells a cell before it has stored it."""

    tell: Callable[[int], object]

    def turn(self) -> bool:
        records = self._in_order()
        if records:
            self.tell(int(records[-1]["counter"]))
        return super().turn()


def start_writer(
    core: ScriptedCore, database: Path, kind: type[RecordWriter] = RecordWriter
) -> tuple[int, int]:
    """Fork a writer as the gateway starts one; return its process id and the pipe it tells."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child:
        os.close(write_end)
        os.set_blocking(read_end, False)
        return child, read_end
    try:
        os.close(read_end)
        view = SharedView(map_memory(core.fd), ProcessId.GATEWAY)
        writer = kind(view, Outbox(database), "software")

        def tell(counter: int) -> None:
            os.write(write_end, b"%d\n" % counter)

        writer.tell = tell  # type: ignore[attr-defined]  # the control's alone
        run(writer, tell, lambda: False)
    finally:
        os._exit(1)


def drain(pipe: int) -> list[int]:
    """Return the counters a writer has told."""
    try:
        data = os.read(pipe, 1 << 16)
    except BlockingIOError:
        return []
    return [int(line) for line in data.split(b"\n")[:-1] if line]


def campaign(folder: Path, kills: int, seed: int, kind: type[RecordWriter] = RecordWriter) -> None:
    chance = random.Random(seed)
    core = ScriptedCore()
    database = folder / "records.sqlite"
    Outbox(database).close()
    produced = acknowledged = 0
    within_write = 0

    def live(pipe: int) -> None:
        nonlocal produced, acknowledged
        while produced - acknowledged < RECORDS_MAX and chance.random() < 0.8:
            produced = core.finish_cell(layers=1)
        acknowledged = max([acknowledged, *drain(pipe)])

    for number in range(kills):
        child, pipe = start_writer(core, database, kind)
        told = acknowledged
        while acknowledged == told:
            live(pipe)
        # Killed at any instant of its life: between two stores, within one, or before it has told.
        end_s = time.monotonic() + chance.uniform(0.0, 0.02)
        while time.monotonic() < end_s:
            live(pipe)
        keep_busy = partial(live, pipe) if number % 4 == 0 else None
        within_write += killing.kill([child], database, keep_busy)
        os.waitpid(child, 0)
        # What it told before its death is durable, and the core may have heard it.
        acknowledged = max([acknowledged, *drain(pipe)])
        os.close(pipe)
        assert Outbox(database).newest_counter(core.view().run.hex) >= acknowledged
    child, pipe = start_writer(core, database)
    end_s = time.monotonic() + PATIENCE_S
    while acknowledged < produced and time.monotonic() < end_s:
        acknowledged = max([acknowledged, *drain(pipe)])
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(pipe)
    stored_cells = [each.counter for each in Outbox(database).after(0, produced + 10)]
    assert stored_cells == list(range(1, produced + 1))
    assert produced >= kills  # cells went on all the while
    print(f"{produced} cells, {kills} kills, {within_write} of them within a write")
    assert within_write > kills // 8
    os.close(core.fd)


@pytest.mark.parametrize("seed", [1])
def test_no_cell_is_lost_or_stored_twice(tmp_path: Path, seed: int) -> None:
    campaign(tmp_path, 200, seed)


def test_a_writer_that_tells_before_it_has_stored_is_found_out(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        campaign(tmp_path, 50, 4, HastyWriter)


@pytest.mark.long
@pytest.mark.parametrize("seed", [2, 3])
def test_no_cell_is_lost_or_stored_twice_in_a_long_campaign(tmp_path: Path, seed: int) -> None:
    campaign(tmp_path, 1000, seed)
