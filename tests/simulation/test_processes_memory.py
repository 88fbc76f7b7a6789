"""The shared memory between two processes under load: nothing torn is ever accepted.

Each test has its negative control: a reader that certifies nothing sees torn data in the same run.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count, takewhile
from typing import Any

import numpy as np
import pytest

from controller.shared import rings, snapshot
from controller.shared.commands import COMMAND_DTYPE, COMMAND_SLOT_COUNT, CommandCode
from controller.shared.layout import PROCESS_COUNT, ProcessId, ReadingChannel
from controller.shared.plan import PLAN_DTYPE
from controller.shared.view import SharedView, create_memory
from drivers.image import CAMERA_READING_DTYPE
from tests.simulation.memory_worker import LAYERS, PEEKED, PEEKED_SHOWN

PERIOD_NS = 1_000_000
PATIENCE_S = 120.0  # for a machine that has other things to do
READS = 3000
COMMANDS = 3000
COMMANDS_A_PLAN = 50


class Worker:
    """The other process; its counts are there once it was asked to stop."""

    def __init__(self, role: str, fd: int) -> None:
        command = [sys.executable, "-m", "tests.simulation.memory_worker", role, str(fd)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, pass_fds=[fd], text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def stop(self) -> dict[str, int]:
        """Close its input and return what it counted."""
        out, _ = self.process.communicate()
        counts: dict[str, int] = json.loads(out)
        return counts


@contextmanager
def _workers(*roles: str) -> Iterator[tuple[SharedView, list[Worker]]]:
    fd = create_memory(1, PERIOD_NS)
    view = SharedView.attach(fd, ProcessId.GATEWAY)
    workers: list[Worker] = []
    try:
        workers.extend(Worker(role, fd) for role in roles)
        yield view, workers
    finally:
        for worker in workers:
            if worker.process.poll() is None:
                worker.process.kill()
                worker.process.wait()


def _patiently() -> Iterator[int]:
    """Count tries until patience ends."""
    end_s = time.monotonic() + PATIENCE_S
    yield from takewhile(lambda _: time.monotonic() < end_s, count(1))


def _wait_for(reached: Callable[[], bool]) -> None:
    assert any(reached() for _ in _patiently()), f"not so after {PATIENCE_S:g} s"


def _stamps(status: Any) -> set[float]:
    axes = status["axes"]
    stamped = {*axes["actual_position_m"], *axes["following_error_m"], status["sheets_total"]}
    return {float(stamp) for stamp in stamped}


def _is_torn(status: Any) -> bool:
    return len(_stamps(status)) > 1


def test_snapshots_are_whole_while_the_core_publishes_at_full_speed() -> None:
    with _workers("stamp") as (view, (worker,)):
        slots = view.memory["stations"][0]["status"]["slots"]
        whole, torn_seen, newest = 0, 0, 0.0
        for _ in _patiently():
            torn_seen += _is_torn(slots[0]["payload"].copy())
            status = view.read_station(0)
            if status is not None:
                (stamp,) = _stamps(status)
                assert stamp >= newest
                newest = stamp
                whole += 1
            if whole >= READS and torn_seen:
                break
        counts = worker.stop()
    assert whole >= READS
    assert torn_seen > 0, "the control saw nothing torn: the load was no load"
    assert counts["cells_done"] >= newest > 0


def _check_events(events: Any) -> None:
    stamps = [events[name] for name in ("time_ns", "kind", "code", "station", "index", "value")]
    for stamp in stamps:
        assert np.array_equal(stamp, events["cycle"])
    assert np.all(np.diff(events["cycle"]) >= 0)


def test_events_are_whole_and_what_was_lost_is_known() -> None:
    with _workers("stamp") as (view, _):
        ring = view.memory["events"]
        after, got, lost, torn_seen = int(ring["newest"]), 0, 0, 0
        start = after
        for _ in _patiently():
            raw = ring["slots"]["payload"][:64].copy()
            torn_seen += int(
                np.sum((raw["time_ns"] != raw["cycle"]) | (raw["value"] != raw["cycle"]))
            )
            after, events, missed = rings.drain(ring, after)
            _check_events(events[events["kind"] == events["cycle"]])
            assert np.all(events["kind"] == events["cycle"])
            got, lost = got + len(events), lost + missed
            if got >= 20 * READS and torn_seen:
                break
    assert got + lost == after - start
    assert got >= 20 * READS
    assert torn_seen > 0, "the control saw nothing torn: the load was no load"


def test_cell_records_are_whole() -> None:
    with _workers("stamp") as (view, _):
        slots = view.memory["records"]["slots"]
        after, got, torn_seen = 0, 0, 0
        for _ in _patiently():
            raw = slots["payload"][:4].copy()["layers"]
            torn_seen += int(np.sum(raw["retries"][:, 0] != raw["retries"][:, LAYERS - 1]))
            for record in view.read_records(after):
                assert record["counter"] > after
                after = int(record["counter"])
                assert np.all(record["layers"]["time_s"] == np.float32(after))
                assert np.all(record["layers"]["retries"] == after)
                got += 1
            if got >= READS and torn_seen:
                break
    assert got >= READS
    assert torn_seen > 0, "the control saw nothing torn: the load was no load"


def _send_slowly(lane: Any, number: int) -> None:
    """Write a command word by word, its sequence first: the worst a sender can do."""
    command = np.zeros(1, COMMAND_DTYPE)
    command["sequence"] = number * PROCESS_COUNT + ProcessId.GATEWAY
    command["code"], command["issued_ns"] = CommandCode.JOG, 1
    command["station"] = command["index"] = command["value"] = number
    command["check"] = rings.command_check(command[0])
    index = number % COMMAND_SLOT_COUNT
    target = lane["slots"][index : index + 1].view(np.uint64)
    for k, word in enumerate(command.view(np.uint64)):
        target[k] = word


def _publish_slowly(pair: Any, number: int) -> None:
    """Write a reading word by word; the mailbox's own order, only slower."""
    reading = np.zeros((), CAMERA_READING_DTYPE)
    reading["sequence"] = reading["captured_ns"] = number
    reading["x_m"] = reading["y_m"] = reading["theta_rad"] = number
    words = np.frombuffer(reading.tobytes(), np.uint64)
    sequence = int(pair["newest"]) + 1
    index = sequence % 2
    target = pair["slots"][index : index + 1].view(np.uint64)
    sums = snapshot.seal(sequence, words)
    for k, word in enumerate([0, *sums, *words]):
        target[k] = word
    target[0] = sequence
    pair["newest"] = sequence


def test_commands_readings_and_plans_are_taken_whole() -> None:
    with _workers("take", "peek") as (view, (taker, peeker)):
        lane = view.memory["lanes"][ProcessId.GATEWAY]
        station = view.memory["stations"][0]
        plan = np.zeros((), PLAN_DTYPE)
        plan["valid"] = 1
        for number in _patiently():
            _wait_for_room(lane, number)
            _send_slowly(lane, number)
            _publish_slowly(station["readings"][ReadingChannel.STACK_CAMERA], number)
            if number % COMMANDS_A_PLAN == 0:
                plan["sheets"] = plan["segments"]["master_start"] = number
                view.write_plan(0, 1, plan)
            if number >= COMMANDS and _all_seen_torn(view):
                break
        _wait_for(lambda: int(lane["taken"]) == number)
        _wait_for(lambda: view.plan_loaded(0, 1) == number // COMMANDS_A_PLAN)
        counts, torn = taker.stop(), peeker.stop()
    assert counts["cells_done"] == number
    assert counts["cells_good"] > 10
    assert counts["cells_requested"] == number - number % COMMANDS_A_PLAN
    assert counts["cells_rejected"] == 0
    assert all(torn[name] > 0 for name in PEEKED), "the control saw nothing torn"


def _all_seen_torn(view: SharedView) -> bool:
    return bool((view.header["heartbeats_ns"][PEEKED_SHOWN] > 0).all())


def _wait_for_room(lane: Any, number: int) -> None:
    _wait_for(lambda: number - int(lane["taken"]) <= COMMAND_SLOT_COUNT)


@pytest.mark.parametrize("seed", range(3))
def test_a_sender_killed_in_the_act_does_no_harm(seed: int) -> None:
    rng = np.random.default_rng(seed)
    with _workers("take") as (view, (taker,)):
        lane = view.memory["lanes"][ProcessId.GATEWAY]
        sent = 0
        for _ in range(20):
            sent += 1
            index = sent % COMMAND_SLOT_COUNT
            words = lane["slots"][index : index + 1].view(np.uint64)
            words[0] = sent * PROCESS_COUNT + ProcessId.GATEWAY
            words[rng.integers(1, 8)] = rng.integers(1, 2**63)  # and no more: the sender is dead
            again = SharedView(view.memory, ProcessId.GATEWAY)
            sequence = again.send(CommandCode.JOG, station=sent, index=sent, value=float(sent))
            assert sequence == sent * PROCESS_COUNT + ProcessId.GATEWAY
        _wait_for(lambda: int(lane["taken"]) == sent)
        counts = taker.stop()
    assert (counts["cells_done"], counts["cells_rejected"]) == (20, 0)
