"""Slices of exchange on a virtual segment, ours and pysoem's in turn, and the compiled cost of a frame."""

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numba import njit

from controller.runtime.real_time import schedule, slack
from drivers.ethercat.bring_up import Bus
from drivers.ethercat.exchange import take
from drivers.ethercat.frame import accept, stamp
from drivers.ethercat.free_run import FreeRun
from drivers.ethercat.link import LINK_DTYPE, make_link
from drivers.ethercat.namespace import Tier
from drivers.ethercat.process_data import pack
from drivers.ethercat.topology import drives_topology
from drivers.image import IMAGE_DTYPE
from hal_sim.ethercat.body import make_body
from hal_sim.ethercat.station import SimStation, warm
from hal_sim.ethercat.virtual_wire import make_veth, remove_link

MASTER, SLAVES = "bench0", "bench1"
PERIOD_NS, LATE_NS, TIMEOUT_NS, SPIN_NS = 1_000_000, 400_000, 900_000, 200_000
PRIORITY, SLICE_CYCLES = 80, 250
SLAVES_CPU, MASTER_CPU = 0, (os.cpu_count() or 1) - 1
LINE_DRIVES = (4, 8, 16, 24, 32, 48, 64)


@contextmanager
def processor(cpu: int, priority: int) -> Iterator[None]:
    """Put the calling thread, and threads it starts, on one processor; under SCHED_FIFO where granted."""
    processors = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    slack()
    granted = priority > 0 and schedule(priority).granted
    try:
        yield
    finally:
        if granted:
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        os.sched_setaffinity(0, processors)


def _segment(drives: int, ready: Any, stop: Any) -> None:
    body = make_body(drives_topology(drives))
    warm(body)
    with processor(SLAVES_CPU, PRIORITY), SimStation(body, SLAVES):
        ready.set()
        stop.wait()


@contextmanager
def segment(drives: int) -> Iterator[None]:
    """A virtual segment in a process of its own, on a fresh veth pair."""
    make_veth(MASTER, SLAVES)
    context = multiprocessing.get_context("fork")
    ready, stop = context.Event(), context.Event()
    process = context.Process(target=_segment, args=(drives, ready, stop))
    process.start()
    try:
        if not ready.wait(120):
            raise RuntimeError("the virtual segment did not start")
        yield
    finally:
        stop.set()
        process.join()
        remove_link(MASTER)


@contextmanager
def busy_thread(active: bool) -> Iterator[None]:
    """A Python thread that never rests, as a gateway under load would be."""
    stop = threading.Event()

    def spin() -> None:
        total = 0
        while not stop.is_set():
            total += sum(range(1000))

    thread = threading.Thread(target=spin)
    if active:
        thread.start()
    yield
    stop.set()
    if active:
        thread.join()


def summary(round_trip_ns: np.ndarray, lost: int) -> dict[str, float | int]:
    """Return percentiles in microseconds, and the frames lost and later than 400 us."""
    p50, p99, p99_9 = (float(v) / 1e3 for v in np.percentile(round_trip_ns, [50, 99, 99.9]))
    late = int((round_trip_ns > LATE_NS).sum()) - lost
    return {
        "p50_us": round(p50, 2), "p99_us": round(p99, 2), "p99_9_us": round(p99_9, 2),
        "lost": lost, "late": max(late, 0),
    }  # fmt: skip


Slice = tuple[np.ndarray, int]


def ours(bus: Bus, cycles: int) -> Slice:
    """Run our exchange in its own thread; returns each round trip, send to whole reply, and the lost."""

    def lost() -> int:
        return int(bus.link["frames_lost"]) + int(bus.link["frames_late"])

    before = lost()
    with FreeRun(bus.context, cycles, cycles) as free:
        free.join()
    return free.round_trip_ns, lost() - before


def pysoems(bus: Bus, cycles: int) -> Slice:
    """Run pysoem's exchange once a period from a Python thread, as its examples do."""
    master, expected = bus.master, bus.master.expected_wkc
    round_trip_ns, lost = np.zeros(cycles, np.int64), 0
    due = time.monotonic_ns()
    for cycle in range(cycles):
        due = max(due + PERIOD_NS, time.monotonic_ns())
        time.sleep(max(due - time.monotonic_ns(), 0) / 1e9)
        start = time.monotonic_ns()
        master.send_processdata()
        lost += master.receive_processdata(TIMEOUT_NS // 1000) != expected
        round_trip_ns[cycle] = time.monotonic_ns() - start
    return round_trip_ns, lost


def in_turn(bus: Bus, cycles: int, busy: bool, priorities: dict[str, int]) -> dict[str, Any]:
    """Alternate between both masters, slice by slice, so that a machine's moods meet both."""
    masters: dict[str, Callable[[Bus, int], Slice]] = {"ours": ours, "pysoem": pysoems}
    slices: dict[str, list[Slice]] = {name: [] for name in masters}
    for slave in bus.master.slaves:
        slave.output = bytes(len(slave.output))
    with busy_thread(busy):
        for _ in range(max(cycles // SLICE_CYCLES, 1)):
            for name, run in masters.items():
                with processor(MASTER_CPU, priorities[name]):
                    slices[name].append(run(bus, SLICE_CYCLES))
    return {
        name: summary(np.concatenate([times for times, _ in rows]), sum(lost for _, lost in rows))
        for name, rows in slices.items()
    }


@njit(nogil=True, error_model="numpy")
def _frame_work(link, image, replies, lengths, count):
    good = 0
    for _ in range(count):
        pack(link, image.outputs)
        stamp(link)
        for k in range(link.frame_count):
            reply, sent, size = replies[k], link.frames[k].transmit, link.frames[k].data_bytes
            reply[17], reply[29 + size] = sent[17], sent[29 + size]
            reply[49 + size] = sent[49 + size]
            accept(link, reply, lengths[k])
        good += take(link, image.inputs) == 0
    return good


class FrameWork:
    """A cycle's compiled work on one bus: pack, stamp, check, settle and unpack."""

    def __init__(self, drives: int) -> None:
        link = make_link(drives_topology(drives)).view(LINK_DTYPE)[0]
        frames = int(link["frame_count"])
        replies, lengths = np.zeros((frames, 2048), np.uint8), np.zeros(frames, np.int64)
        for k in range(frames):
            frame = link["frames"][k]
            length, size = int(frame["length"]), int(frame["data_bytes"])
            replies[k, :length] = frame["transmit"][:length]
            replies[k, 26 + size] = frame["working_counter_expected"]
            replies[k, 58 + size], replies[k, 60 + size] = 8, drives
            lengths[k] = length
        self._arguments = link, np.zeros(1, IMAGE_DTYPE)[0], replies, lengths
        self.process_bytes = int(link["process_bytes"])
        if _frame_work(*self._arguments, 10) != 10:
            raise RuntimeError("the synthetic replies were not accepted")

    def cost_ns(self, count: int = 200) -> float:
        """Return what a cycle costs, the mean of `count`."""
        start = time.perf_counter_ns()
        _frame_work(*self._arguments, count)
        return (time.perf_counter_ns() - start) / count


def frame_costs_ns(works: list[FrameWork], rounds: int = 200) -> np.ndarray:
    """Return the least cost of each, (len(works),): taken in turn, so that all meet a quiet moment."""
    return np.array([[work.cost_ns() for work in works] for _ in range(rounds)]).min(axis=0)


def frame_cost_us(drives: int) -> float:
    """Return the compiled cost of build, check and unpack, in microseconds a cycle."""
    return round(float(frame_costs_ns([FrameWork(drives)])[0]) / 1e3, 3)


def cost_line() -> dict[str, float]:
    """Fit a line through compiled cost over process data: how linear the exchange is in bytes."""
    works = [FrameWork(drives) for drives in LINE_DRIVES]
    sizes, costs_ns = [work.process_bytes for work in works], frame_costs_ns(works)
    slope, fixed = np.polyfit(sizes, costs_ns, 1)
    rest = costs_ns - (slope * np.array(sizes) + fixed)
    return {
        "ns_per_byte": round(float(slope), 3),
        "fixed_ns": round(float(fixed), 1),
        "bytes_max": float(max(sizes)),
        "r_squared": round(1.0 - float(rest.var() / costs_ns.var()), 5),
    }


def measure(drives: int, cycles: int, tier: Tier, priorities: dict[str, int]) -> dict[str, Any]:
    """Return one result of the bench's JSON shape."""
    result: dict[str, Any] = {"tier": tier.name, "drives": drives, "priority": priorities}
    if tier is not Tier.SOCKETLESS:
        topology = drives_topology(
            drives, interface=MASTER, reply_timeout_ns=TIMEOUT_NS, misses_stop=10**6,
            spin_ns=SPIN_NS if SLAVES_CPU != MASTER_CPU else 0,
        )  # fmt: skip
        with segment(drives), Bus(topology) as bus:
            bus.bring_up()
            FreeRun(bus.context, 1, 1).warm()
            for load in ("quiet", "busy"):
                result[load] = in_turn(bus, cycles, load == "busy", priorities)
    result["frame_cost_us"] = frame_cost_us(drives)
    return result
