"""The shared memory from Python's side: layout, seals, rings, lanes and mailboxes."""

import time

import numpy as np
import pytest
from numba import njit

from controller.runtime.atomics import address_of
from controller.runtime.seal import try_read_sealed, write_sealed
from controller.shared import rings, snapshot
from controller.shared.commands import COMMAND_DTYPE, COMMAND_SLOT_COUNT, CommandCode
from controller.shared.events import EVENT_DTYPE, EVENT_RING_SIZE
from controller.shared.layout import MEMORY_DTYPE, CorePhase, ProcessId, layout_hash, ring, sealed
from controller.shared.plan import PLAN_DTYPE
from controller.shared.records import CELL_RECORD_DTYPE, RECORDS_MAX
from controller.shared.status import MACHINE_STATUS_DTYPE, STATION_STATUS_DTYPE
from controller.shared.view import SharedView, create_memory, map_memory, private_memory

PERIOD_NS = 1_000_000


@njit(cache=True)
def write_by_core(slot, source, words, sequence):
    """Seal as the core does."""
    write_sealed(address_of(slot), address_of(source), words, sequence)


@njit(cache=True)
def read_by_core(slot, target, words):
    """Certify as the core does."""
    return try_read_sealed(address_of(slot), address_of(target), words)


def _random(dtype: np.dtype, seed: int) -> np.void:
    rng = np.random.default_rng(seed)
    return np.frombuffer(rng.bytes(dtype.itemsize), dtype)[0]


def _view(process: ProcessId = ProcessId.GATEWAY) -> SharedView:
    return SharedView(private_memory(2, PERIOD_NS), process)


def test_every_payload_is_aligned_to_whole_words() -> None:
    def leaves(dtype: np.dtype, at: int, name: str) -> list[tuple[str, int]]:
        if dtype.subdtype is not None:
            return leaves(dtype.subdtype[0], at, name)
        if dtype.names is None:
            return []
        own = [(name, at)] if "payload" in dtype.names or "newest" in dtype.names else []
        inner = [leaves(f[0], at + f[1], f"{name}.{k}") for k, f in (dtype.fields or {}).items()]
        return own + [leaf for part in inner for leaf in part]

    found = leaves(MEMORY_DTYPE, 0, "memory")
    assert len(found) > 10
    assert all(at % 8 == 0 for _, at in found)


def test_the_memory_is_the_same_from_every_mapping() -> None:
    fd = create_memory(2, PERIOD_NS)
    one = SharedView.attach(fd, ProcessId.GATEWAY)
    other = SharedView(map_memory(fd), ProcessId.CORE)
    assert one.run == other.run
    assert one.run.version == 4
    assert (other.station_count, other.core_phase) == (2, CorePhase.NONE)
    assert other.header["pids"][ProcessId.GATEWAY] > 0


@pytest.mark.parametrize("field", ["magic", "layout"])
def test_a_memory_of_another_build_is_refused(field: str) -> None:
    memory = private_memory(1, PERIOD_NS)
    memory["header"][field] = 0
    with pytest.raises(ValueError, match="shared memory"):
        SharedView(memory)


def test_the_layout_hash_is_of_the_whole_layout() -> None:
    assert len(layout_hash()) == 32
    assert layout_hash() == layout_hash()


@pytest.mark.parametrize(
    "dtype", [STATION_STATUS_DTYPE, EVENT_DTYPE, CELL_RECORD_DTYPE, PLAN_DTYPE]
)
def test_core_and_numpy_seal_alike(dtype: np.dtype) -> None:
    slots = np.zeros(2, sealed(dtype))
    source, target = np.array([_random(dtype, 3)]), np.zeros(1, dtype)
    words = dtype.itemsize // 8
    write_by_core(slots[0], source[0], words, np.uint64(41))
    snapshot.write_sealed(slots, 1, 41, source[0])
    assert slots[0].tobytes() == slots[1].tobytes()
    assert read_by_core(slots[1], target[0], words) == 41
    assert target.tobytes() == source.tobytes()
    read = snapshot.try_read_sealed(slots, 0, 41)
    assert read is not None
    assert read.tobytes() == source.tobytes()


@pytest.mark.parametrize("seed", range(20))
def test_a_single_changed_word_breaks_the_seal(seed: int) -> None:
    slots = np.zeros(1, sealed(STATION_STATUS_DTYPE))
    snapshot.write_sealed(slots, 0, 5, _random(STATION_STATUS_DTYPE, seed))
    raw = slots.view(np.uint64)
    rng = np.random.default_rng(seed)
    raw[rng.integers(len(raw))] ^= np.uint64(1) << np.uint64(rng.integers(64))
    target = np.zeros(1, STATION_STATUS_DTYPE)
    assert snapshot.try_read_sealed(slots, 0, 5) is None
    assert read_by_core(slots[0], target[0], STATION_STATUS_DTYPE.itemsize // 8) != 5


def test_two_swapped_words_break_the_seal() -> None:
    slots = np.zeros(1, sealed(MACHINE_STATUS_DTYPE))
    snapshot.write_sealed(slots, 0, 5, _random(MACHINE_STATUS_DTYPE, 1))
    raw = slots.view(np.uint64)
    raw[[6, 9]] = raw[[9, 6]]
    assert snapshot.try_read_sealed(slots, 0, 5) is None


def test_an_older_payload_under_a_newer_sequence_is_refused() -> None:
    slots = np.zeros(1, sealed(MACHINE_STATUS_DTYPE))
    snapshot.write_sealed(slots, 0, 5, _random(MACHINE_STATUS_DTYPE, 1))
    slots["sequence"] = 7
    assert snapshot.try_read_sealed(slots, 0, 7) is None


def test_nothing_is_shown_before_anything_was_written() -> None:
    view = _view()
    assert view.read_machine() is None
    assert view.read_station(0) is None
    assert view.read_statistics() is None
    assert view.read_records(0) == []
    newest, events = view.drain_events(0)
    assert (newest, len(events)) == (0, 0)


def test_a_snapshot_that_stays_torn_is_no_snapshot() -> None:
    view = _view()
    sequence = snapshot.write_next(view.memory["machine"], np.ones((), MACHINE_STATUS_DTYPE))
    assert view.read_machine() is not None
    view.memory["machine"]["slots"][sequence % 2]["payload"]["cycle"] = 9
    assert view.read_machine() is None


def test_events_come_once_in_order_and_losses_show() -> None:
    events = np.zeros((), ring(EVENT_DTYPE, EVENT_RING_SIZE))
    for sequence in range(1, 6001):
        event = np.zeros((), EVENT_DTYPE)
        event["cycle"] = sequence
        snapshot.write_sealed(events["slots"], sequence % EVENT_RING_SIZE, sequence, event)
        events["newest"] = sequence
        if sequence == 10:
            newest, got, lost = rings.drain(events, 4)
            assert (newest, list(got["cycle"]), lost) == (10, [5, 6, 7, 8, 9, 10], 0)
    newest, got, lost = rings.drain(events, 10)
    assert (newest, len(got), lost) == (6000, EVENT_RING_SIZE, 5990 - EVENT_RING_SIZE)
    assert list(got["cycle"][:2]) == [6000 - EVENT_RING_SIZE + 1, 6000 - EVENT_RING_SIZE + 2]
    assert rings.drain(events, 6000)[1].size == 0
    events["slots"][5999 % EVENT_RING_SIZE]["payload"]["value"] = 1.0
    newest, got, lost = rings.drain(events, 5998)
    assert (newest, list(got["cycle"]), lost) == (6000, [6000], 1)


def test_records_are_kept_until_overwritten() -> None:
    view = _view()
    records = view.memory["records"]
    for counter in range(1, RECORDS_MAX + 4):
        record = np.zeros((), CELL_RECORD_DTYPE)
        record["counter"] = counter
        snapshot.write_sealed(records["slots"], counter % RECORDS_MAX, counter, record)
        records["newest"] = counter
    assert [int(r["counter"]) for r in view.read_records(257)] == [258, 259]
    assert [int(r["counter"]) for r in view.read_records(0)] == list(range(4, 260))


def test_a_command_is_64_bytes_and_certified() -> None:
    view = _view()
    sequence = view.send(CommandCode.JOG, station=1, index=3, value=-0.25, source=17)
    slot = view.memory["lanes"][ProcessId.GATEWAY]["slots"][1]
    assert COMMAND_DTYPE.itemsize == 64
    assert (int(slot["sequence"]), int(slot["code"])) == (sequence, CommandCode.JOG)
    assert (slot["station"], slot["index"], slot["value"], slot["source"]) == (1, 3, -0.25, 17)
    assert int(slot["check"]) == rings.command_check(slot)


def test_sequences_of_different_senders_never_meet() -> None:
    memory = private_memory(1, PERIOD_NS)
    views = [SharedView(memory, process) for process in ProcessId]
    sent = [view.send(CommandCode.NONE) for view in views for _ in range(5)]
    assert len(set(sent)) == len(sent)


def test_a_restarted_sender_goes_on_after_its_forerunner() -> None:
    memory = private_memory(1, PERIOD_NS)
    first = SharedView(memory)
    for _ in range(3):
        last = first.send(CommandCode.HOLD)
    lane = memory["lanes"][ProcessId.GATEWAY]
    lane["taken"] = 1
    lane["slots"][4]["sequence"] = 99  # what a sender killed in the act leaves
    again = SharedView(memory).send(CommandCode.UNHOLD)
    assert again == last + len(ProcessId)


def test_a_full_lane_says_so() -> None:
    view = _view()
    for _ in range(COMMAND_SLOT_COUNT):
        view.send(CommandCode.HOLD)
    with pytest.raises(RuntimeError, match="64 are waiting"):
        view.send(CommandCode.HOLD)


def test_the_core_is_alive_while_its_heart_beats() -> None:
    view = _view(ProcessId.CORE)
    now = time.monotonic_ns()
    assert not view.core_alive(now)
    view.beat(now)
    assert view.core_alive(now + 199_999_999)
    assert not view.core_alive(now + 200_000_000)
    assert not view.core_alive(now + 10, limit_ns=10)
