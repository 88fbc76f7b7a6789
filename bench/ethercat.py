"""The cyclic exchange on the wire beside pysoem's from Python: round trip, lost and late frames.

`python -m bench.ethercat [--drives 8 32] [--cycles 4000] [--json]`. Both drive the same virtual segment over
a veth pair, quiet and with a busy Python thread in the master's process; the segment is a process of its own.
Without the right to make a network namespace only the frame's compiled cost is measured.
"""

import argparse
import json
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numba import njit

from drivers.ethercat.bring_up import Bus
from drivers.ethercat.exchange import take
from drivers.ethercat.frame import accept, stamp
from drivers.ethercat.free_run import FreeRun
from drivers.ethercat.link import LINK_DTYPE, make_link
from drivers.ethercat.process_data import pack
from drivers.ethercat.topology import Topology, drives_topology
from drivers.image import IMAGE_DTYPE
from hal_sim.ethercat.body import make_body
from hal_sim.ethercat.station import SimStation, warm
from hal_sim.ethercat.virtual_wire import Tier, find_tier, make_veth, own_namespace, remove_link

MASTER, SLAVES = "bench0", "bench1"
PERIOD_NS, LATE_NS, TIMEOUT_NS = 1_000_000, 400_000, 900_000


def _segment(drives: int, ready: Any, stop: Any) -> None:
    body = make_body(drives_topology(drives))
    warm(body)
    with SimStation(body, SLAVES):
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


def measure_ours(topology: Topology, cycles: int, busy: bool) -> dict[str, float | int]:
    """Run our exchange in its own thread; the round trip is send to whole reply."""
    with Bus(topology) as bus:
        bus.bring_up()
        free = FreeRun(bus.context, cycles, cycles).warm()
        with busy_thread(busy), free:
            free.join()
        lost = int(bus.link["frames_lost"]) + int(bus.link["frames_late"])
        return summary(free.round_trip_ns, lost)


def measure_pysoem(topology: Topology, cycles: int, busy: bool) -> dict[str, float | int]:
    """Run pysoem's exchange once a period from a Python thread, as its examples do."""
    with Bus(topology) as bus:
        bus.bring_up()
        master, expected = bus.master, bus.master.expected_wkc
        for slave in master.slaves:
            slave.output = bytes(len(slave.output))
        round_trip_ns, lost = np.zeros(cycles, np.int64), 0
        due = time.monotonic_ns()
        with busy_thread(busy):
            for cycle in range(cycles):
                due = max(due + PERIOD_NS, time.monotonic_ns())
                time.sleep(max(due - time.monotonic_ns(), 0) / 1e9)
                start = time.monotonic_ns()
                master.send_processdata()
                lost += master.receive_processdata(TIMEOUT_NS // 1000) != expected
                round_trip_ns[cycle] = time.monotonic_ns() - start
        return summary(round_trip_ns, lost)


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


def frame_cost_us(drives: int, count: int = 20_000) -> float:
    """Return the compiled cost of build, check and unpack, in microseconds a cycle."""
    link = make_link(drives_topology(drives)).view(LINK_DTYPE)[0]
    image = np.zeros(1, IMAGE_DTYPE)[0]
    frames = int(link["frame_count"])
    replies, lengths = np.zeros((frames, 2048), np.uint8), np.zeros(frames, np.int64)
    for k in range(frames):
        frame = link["frames"][k]
        length, size = int(frame["length"]), int(frame["data_bytes"])
        replies[k, :length] = frame["transmit"][:length]
        replies[k, 26 + size] = frame["working_counter_expected"]
        replies[k, 58 + size], replies[k, 60 + size] = 8, drives
        lengths[k] = length
    if _frame_work(link, image, replies, lengths, 10) != 10:
        raise RuntimeError("the synthetic replies were not accepted")
    best = min(_timed(link, image, replies, lengths, count // 5) for _ in range(5))
    return round(best, 3)


def _timed(link: Any, image: Any, replies: Any, lengths: Any, count: int) -> float:
    start = time.perf_counter_ns()
    _frame_work(link, image, replies, lengths, count)
    return (time.perf_counter_ns() - start) / count / 1e3


def measure(drives: int, cycles: int, tier: Tier) -> dict[str, Any]:
    """Return one result of the bench's JSON shape."""
    result: dict[str, Any] = {"tier": tier.name, "drives": drives}
    if tier is not Tier.SOCKETLESS:
        topology = drives_topology(
            drives, interface=MASTER, reply_timeout_ns=TIMEOUT_NS, misses_stop=10**6
        )
        with segment(drives):
            for load in ("quiet", "busy"):
                result[load] = {
                    "ours": measure_ours(topology, cycles, load == "busy"),
                    "pysoem": measure_pysoem(topology, cycles, load == "busy"),
                }
    result["frame_cost_us"] = frame_cost_us(drives)
    return result


def _print(result: dict[str, Any]) -> None:
    print(f"{result['drives']} drives, {result['tier']}: frame cost {result['frame_cost_us']} us")
    for load in ("quiet", "busy"):
        for name, row in result.get(load, {}).items():
            print(
                f"  {load:5} {name:6} " + "  ".join(f"{key} {value}" for key, value in row.items())
            )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench.ethercat", description=__doc__)
    parser.add_argument("--drives", type=int, nargs="+", default=[8, 32])
    parser.add_argument("--cycles", type=int, default=4000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    tier = find_tier()
    if tier is Tier.USER_NAMESPACE and os.geteuid() != 0:
        command = ["unshare", "--user", "--map-root-user", "--net", sys.executable]
        os.execvp(command[0], [*command, "-m", "bench.ethercat", *sys.argv[1:]])
    if tier is Tier.SOCKETLESS:
        results = [measure(drives, options.cycles, tier) for drives in options.drives]
    else:
        with own_namespace():
            results = [measure(drives, options.cycles, tier) for drives in options.drives]
    for result in results:
        if options.json:
            print(json.dumps(result))
        else:
            _print(result)


if __name__ == "__main__":
    main()
