"""The loop: what a cycle takes in and gives out, how it keeps time, and how it ends."""

import numpy as np
import pytest

from controller.assembly import Machine
from controller.runtime.clock import wait_virtual
from controller.runtime.loop import LoopCode
from controller.runtime.timing import histogram_bin
from controller.runtime.virtual import call_loop, digest, run_virtual
from controller.shared.commands import CommandCode, CommandResult
from controller.shared.events import EventKind
from controller.shared.histogram import bin_edge_ns, percentile_ns
from controller.shared.layout import SOURCE_OVERRUN, ProcessId, ReadingChannel
from controller.shared.plan import PLAN_DTYPE
from controller.shared.status import HISTOGRAM_BINS, Phase
from controller.shared.view import SharedView
from drivers.image import CAMERA_READING_DTYPE, ReadingQuality
from tests.machines import (
    FAILS_AT_CYCLE,
    PERIOD_NS,
    failing,
    raising,
    small_machine,
    wait_always_late,
    wait_now_and_then_late,
)


def _reading(x_m: float, captured_ns: int = 5) -> np.ndarray:
    reading = np.zeros((), CAMERA_READING_DTYPE)
    reading["x_m"], reading["captured_ns"] = x_m, captured_ns
    reading["quality"] = ReadingQuality.GOOD
    return reading


def _plan(bound_s: float) -> np.ndarray:
    plan = np.zeros((), PLAN_DTYPE)
    plan["bound_s"], plan["valid"], plan["sheets"] = bound_s, 1, 107
    plan["segments"]["master_start"] = np.arange(len(plan["segments"]))
    return plan


def _statistics(machine: Machine) -> np.void:
    return machine.loop[0]["statistics"]


def test_virtual_time_counts_every_cycle_and_misses_none() -> None:
    machine = small_machine()
    chunks: list[int] = []
    assert run_virtual(machine, 2500, chunks.append) == LoopCode.CYCLES_DONE
    assert chunks == [1000, 2000, 2500]
    assert _statistics(machine)["cycles"] == 2500
    assert _statistics(machine)["overruns"] == 0
    assert machine.image[0]["inputs"]["time_ns"] == 2499 * PERIOD_NS
    assert machine.context[0] == 2500 % 256


def test_missed_periods_are_skipped_and_counted_and_phase_is_kept() -> None:
    machine = small_machine()
    call_loop(machine, wait_now_and_then_late, 1)
    # The deadline at 0 was missed by 2.3 periods.
    assert machine.image[0]["inputs"]["time_ns"] == 2 * PERIOD_NS
    assert _statistics(machine)["overruns"] == 2
    call_loop(machine, wait_now_and_then_late, 15)
    # 16 cycles span 20 periods: at 0 and at 10 ms two were skipped, and none was caught up.
    assert _statistics(machine)["overruns"] == 4
    assert int(machine.loop[0]["deadline_ns"]) == 20 * PERIOD_NS
    assert _statistics(machine)["max_ns"][Phase.LATENESS] == 2_300_000
    assert _statistics(machine)["overruns_in_a_row"] == 0
    _, events = SharedView(machine.memory).drain_events(0)
    assert [(e["kind"], e["value"]) for e in events] == [(EventKind.OVERRUN, 2.0)] * 2


def test_overruns_in_a_row_ask_once_for_a_controlled_stop() -> None:
    machine = small_machine()
    machine.loop[0]["overruns_in_a_row_max"] = 7
    call_loop(machine, wait_always_late, 6)
    assert machine.state[0]["machine"]["cells_done"] == 0
    call_loop(machine, wait_always_late, 20)
    assert machine.state[0]["machine"]["cells_done"] == 1
    assert machine.state[0]["machine"]["cells_requested"] == SOURCE_OVERRUN
    _, events = SharedView(machine.memory).drain_events(0)
    stops = [e for e in events if e["kind"] == EventKind.NONE and e["code"] == CommandCode.STOP]
    assert [e["cycle"] for e in stops] == [6]


def test_timing_never_reaches_scan_or_digest() -> None:
    slow, quick = small_machine(), small_machine()
    for machine in (slow, quick):
        machine.loop[0]["digest_wanted"] = 1
    run_virtual(quick, 40)
    for _ in range(40):
        run_virtual(slow, 1)
    assert digest(slow) == digest(quick)
    assert slow.state.tobytes() == quick.state.tobytes()
    assert slow.loop[0]["statistics"].tobytes() != quick.loop[0]["statistics"].tobytes()


@pytest.mark.parametrize("changed", ["inputs", "outputs"])
def test_the_digest_sees_a_single_bit_of_the_last_station(changed: str) -> None:
    digests = set()
    for tension in (3.0, np.nextafter(3.0, 4.0)):
        machine = small_machine(station_count=3)
        machine.loop[0]["digest_wanted"] = 1
        if changed == "inputs":
            machine.image[0]["inputs"]["stations"][2]["web_edge_m"] = tension
        else:
            machine.image[0]["outputs"]["stations"][2]["axes"][26]["force_offset_n"] = tension
        run_virtual(machine, 3)
        digests.add(digest(machine))
    assert len(digests) == 2


def test_one_command_a_cycle_in_order_and_answered() -> None:
    machine = small_machine()
    view = SharedView(machine.memory, ProcessId.GATEWAY)
    sent = [view.send(CommandCode.SET_SPEED_OVERRIDE, value=0.1 * k) for k in range(1, 4)]
    assert view.answer(sent[0]) is None
    run_virtual(machine, 2)
    assert [view.answer(sequence) for sequence in sent] == [CommandResult.ACCEPTED] * 2 + [None]
    assert machine.state[0]["machine"]["speed_override"] == pytest.approx(0.2)
    run_virtual(machine, 1)
    assert machine.state[0]["machine"]["last_command_sequence"] == sent[2]
    _, events = view.drain_events(0)
    assert [e["cycle"] for e in events] == [0, 1, 2]


def test_no_sender_starves_another() -> None:
    machine = small_machine()
    gateway = SharedView(machine.memory, ProcessId.GATEWAY)
    supervisor = SharedView(machine.memory, ProcessId.SUPERVISOR)
    many = [gateway.send(CommandCode.SET_CELLS, value=1.0) for _ in range(60)]
    stop = supervisor.send(CommandCode.STOP)
    run_virtual(machine, 3)
    assert supervisor.answer(stop) == CommandResult.ACCEPTED
    assert gateway.answer(many[0]) == CommandResult.ACCEPTED
    assert gateway.answer(many[-1]) is None


def test_a_command_that_is_not_whole_is_never_taken() -> None:
    machine = small_machine()
    view = SharedView(machine.memory, ProcessId.GATEWAY)
    view.send(CommandCode.SET_SPEED_OVERRIDE, value=0.5)
    slot = machine.memory["lanes"][ProcessId.GATEWAY]["slots"][1]
    slot["value"] = 0.75  # torn: the check is of another value
    run_virtual(machine, 10)
    assert machine.state[0]["machine"]["cells_done"] == 0
    slot["value"] = 0.5
    run_virtual(machine, 1)
    assert machine.state[0]["machine"]["speed_override"] == 0.5


def test_readings_come_after_the_exchange_and_stay() -> None:
    machine = small_machine()
    view = SharedView(machine.memory, ProcessId.IO)
    run_virtual(machine, 1)
    assert machine.state[0]["stations"][0]["status"]["pose_x_m"][0] == 0.0
    view.publish_reading(0, ReadingChannel.SHEET_CAMERA_ANODE, _reading(1e-4))
    view.publish_reading(0, ReadingChannel.TENSION, _reading(2.9, captured_ns=77))
    machine.image[0]["inputs"]["stations"][0]["tension_n"] = 9.9  # the backend's, overruled
    run_virtual(machine, 1)
    inputs = machine.image[0]["inputs"]["stations"][0]
    status = machine.state[0]["stations"][0]["status"]
    assert (status["pose_x_m"][0], status["tension_n"]) == (1e-4, 2.9)
    assert inputs["tension_stamp_ns"] == 77


def test_a_sensors_reading_overrules_the_bus_and_a_failed_one_leaves_the_last_good() -> None:
    machine = small_machine()
    view = SharedView(machine.memory, ProcessId.IO)
    inputs = machine.image[0]["inputs"]["stations"][0]
    view.publish_reading(0, ReadingChannel.DANCER, _reading(-0.01, captured_ns=70))
    block = _reading(120.0, captured_ns=80)
    block["y_m"], block["theta_rad"] = 90.0, 2e9
    view.publish_reading(0, ReadingChannel.IO_BLOCK, block)
    run_virtual(machine, 1)
    assert (inputs["dancer_position_m"], inputs["dancer_stamp_ns"]) == (-0.01, 70)
    assert tuple(inputs["magazine_sheets"]) == (120, 90)
    assert (inputs["hipot_resistance_ohm"], inputs["magazine_stamp_ns"]) == (2e9, 80)
    failed = _reading(0.02, captured_ns=90)
    failed["quality"] = ReadingQuality.FAILED
    view.publish_reading(0, ReadingChannel.DANCER, failed)
    run_virtual(machine, 1)
    assert (inputs["dancer_position_m"], inputs["dancer_stamp_ns"]) == (-0.01, 70)


@pytest.mark.parametrize("steered", [False, True])
def test_the_period_follows_the_buss_reference_clock(steered: bool) -> None:
    machine = small_machine()
    machine.loop[0]["steered"] = steered
    machine.image[0]["inputs"]["bus"]["clock_offset_ns"] = 10_000  # frames come 10 us late
    run_virtual(machine, 3)
    ahead_ns = 3 * PERIOD_NS - int(machine.loop[0]["deadline_ns"])
    assert (0 < ahead_ns < 10_000) if steered else ahead_ns == 0


def test_a_torn_reading_leaves_the_last_whole_one() -> None:
    machine = small_machine()
    view = SharedView(machine.memory, ProcessId.IO)
    view.publish_reading(0, ReadingChannel.STACK_CAMERA, _reading(1e-4))
    run_virtual(machine, 1)
    sequence = view.publish_reading(0, ReadingChannel.STACK_CAMERA, _reading(2e-4))
    pair = machine.memory["stations"][0]["readings"][ReadingChannel.STACK_CAMERA]
    pair["slots"][sequence % 2]["payload"]["theta_rad"] = 0.5
    run_virtual(machine, 1)
    taken = machine.image[0]["inputs"]["stations"][0]["stack_camera"]
    assert (taken["x_m"], taken["theta_rad"]) == (1e-4, 0.0)


def test_a_plan_is_taken_piecemeal_and_valid_only_when_whole() -> None:
    machine = small_machine()
    view = SharedView(machine.memory, ProcessId.PLANNER)
    sequence = view.write_plan(0, 1, _plan(0.25))
    cycles = 0
    while not view.plan_loaded(0, 1):
        assert not machine.plans[1]["valid"]
        run_virtual(machine, 1)
        cycles += 1
    assert view.plan_loaded(0, 1) == sequence
    assert cycles > 10
    assert machine.plans[1].tobytes() == _plan(0.25).tobytes()


def test_a_plan_overwritten_while_it_is_copied_is_read_again() -> None:
    machine = small_machine()
    view = SharedView(machine.memory, ProcessId.PLANNER)
    view.write_plan(0, 1, _plan(0.25))
    run_virtual(machine, 5)
    sequence = view.write_plan(0, 1, _plan(0.5))
    while not view.plan_loaded(0, 1):
        assert not machine.plans[1]["valid"]
        run_virtual(machine, 1)
    assert view.plan_loaded(0, 1) == sequence
    assert machine.plans[1].tobytes() == _plan(0.5).tobytes()


def test_a_torn_plan_never_becomes_valid() -> None:
    machine = small_machine()
    view = SharedView(machine.memory, ProcessId.PLANNER)
    view.write_plan(0, 1, _plan(0.25))
    machine.memory["stations"][0]["plans"][1]["payload"]["segments"][4000]["coefficients"][5] = 1.0
    run_virtual(machine, 200)
    assert view.plan_loaded(0, 1) == 0
    assert not machine.plans[1]["valid"]


def test_the_plan_in_use_is_never_touched() -> None:
    machine = small_machine()
    view = SharedView(machine.memory, ProcessId.PLANNER)
    first = view.write_plan(0, 0, _plan(0.25))
    run_virtual(machine, 100)
    assert view.plan_loaded(0, 0) == first
    view.write_plan(0, 0, _plan(0.5))
    run_virtual(machine, 100)
    assert view.plan_loaded(0, 0) == first
    assert machine.plans[0]["bound_s"] == 0.25


def test_snapshots_show_every_station_and_requests_go_out_at_once() -> None:
    machine = small_machine(station_count=8)
    view = SharedView(machine.memory)
    run_virtual(machine, 101)
    assert list(view.take_requests()["sheet_camera_trigger"][:, 0]) == [1] * 8
    stations = [view.read_station(index) for index in range(8)]
    assert all(s is not None and 100 - s["sheets_total"] <= 15 for s in stations)
    shown = view.read_machine()
    assert shown is not None
    assert 100 - shown["cycle"] <= 15


def test_the_loop_ends_when_the_scan_says_so_and_shows_its_last_state() -> None:
    machine = small_machine()
    view = SharedView(machine.memory, ProcessId.SUPERVISOR)
    run_virtual(machine, 7)
    view.send(CommandCode.SHUT_DOWN)
    assert run_virtual(machine, 1000) == LoopCode.SHUT_DOWN
    shown = view.read_machine()
    assert shown is not None
    assert shown["cycle"] == 7
    _, events = view.drain_events(0)
    assert events[-1]["kind"] == EventKind.CORE_STOPPED


def test_the_host_can_ask_for_the_end_without_a_lane() -> None:
    machine = small_machine()
    machine.loop[0]["shut_down_asked"] = 1
    assert call_loop(machine, wait_virtual, 10) == LoopCode.SHUT_DOWN
    assert machine.loop[0]["cycle"] == 1


def test_a_backend_that_gives_up_ends_the_loop() -> None:
    machine = small_machine(exchange=failing)
    assert run_virtual(machine, 1000) == LoopCode.EXCHANGE_FAILED
    assert machine.loop[0]["cycle"] == FAILS_AT_CYCLE + 1


def test_an_error_behind_a_pointer_is_not_lost() -> None:
    machine = small_machine(exchange=raising)
    with pytest.raises(IndexError, match="out of range"):
        run_virtual(machine, 1000)
    assert machine.loop[0]["cycle"] == FAILS_AT_CYCLE


def test_histogram_bins_are_the_edges_the_readers_know() -> None:
    for index in range(1, HISTOGRAM_BINS):
        edge = int(bin_edge_ns(index))
        assert (histogram_bin(edge - 1), histogram_bin(edge)) == (index - 1, index)
    assert histogram_bin(0) == 0
    assert histogram_bin(2**62) == HISTOGRAM_BINS - 1


def test_percentiles_come_out_within_a_bin() -> None:
    rng = np.random.default_rng(7)
    durations = rng.lognormal(9.0, 0.8, 20_000)
    histogram = np.zeros(HISTOGRAM_BINS, np.int64)
    for duration in durations:
        histogram[histogram_bin(int(duration))] += 1
    for share in (0.01, 0.5, 0.99, 0.999):
        exact = float(np.quantile(durations, share))
        assert percentile_ns(histogram, share) == pytest.approx(exact, rel=0.15)
    assert percentile_ns(np.zeros(HISTOGRAM_BINS), 0.5) == 0.0
