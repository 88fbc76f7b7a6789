"""The loops whose wake-ups are compared: ours, and a bare one of cyclictest's shape."""

import time
from typing import Any

import numpy as np
from numba import njit

from controller.assembly import Machine, new_plans
from controller.runtime.clock import monotonic_ns, sleep_until, wait_real
from controller.runtime.real_time import set_up_thread
from controller.runtime.virtual import call_loop
from drivers.seam import EXCHANGE_SIGNATURE

LEAD_NS = 50_000_000


@njit(EXCHANGE_SIGNATURE, cache=True, nogil=True, error_model="numpy")
def note_lateness(image, context):
    """A backend that only notes how late each cycle began, missed periods included.

    context: int64 count, deadline due, then a row for each lateness.
    """
    now = monotonic_ns()
    notes = context.view(np.int64)
    row, due = notes[0], notes[1]
    if due == 0:
        due = image.inputs.time_ns
    if row + 2 < notes.size:
        notes[row + 2] = now - due
        notes[0] = row + 1
    notes[1] = image.inputs.time_ns + image.inputs.period_ns
    return 0


@njit("void(int64[::1], int64, int64)", cache=True, nogil=True, error_model="numpy")
def bare_loop(latenesses, deadline_ns, period_ns):
    """Sleep to absolute deadlines and note the lateness: what cyclictest does."""
    for row in range(latenesses.size):
        sleep_until(deadline_ns)
        now = monotonic_ns()
        latenesses[row] = now - deadline_ns
        deadline_ns += period_ns
        if now > deadline_ns:
            deadline_ns += (now - deadline_ns + period_ns - 1) // period_ns * period_ns


def _first_deadline_ns(period_ns: int, offset_ns: int) -> int:
    """A whole period of the clock plus an offset, so that two loops keep their distance."""
    soon = time.monotonic_ns() + LEAD_NS
    return soon - soon % period_ns + period_ns + offset_ns


def our_latenesses(
    cycles: int, period_ns: int, cpu: int, priority: int
) -> tuple[np.ndarray[Any, Any], int, list[str]]:
    """Run our loop with the station's own scan; return latenesses in ns, periods missed, real-time report."""
    context = np.zeros(8 * (cycles + 2), np.uint8)
    machine = Machine(note_lateness, context, new_plans(1), 1, period_ns)
    report = set_up_thread(cpu, priority, lock_memory=True)
    machine.loop[0]["deadline_ns"] = _first_deadline_ns(period_ns, 0)
    call_loop(machine, wait_real, cycles)
    notes = context.view(np.int64)
    return notes[2 : notes[0] + 2], int(machine.loop[0]["statistics"]["overruns"]), report.lines()


def bare_latenesses(cycles: int, period_ns: int, cpu: int, priority: int) -> np.ndarray[Any, Any]:
    """Run the bare loop half a period beside ours; return latenesses in ns."""
    latenesses = np.zeros(cycles, np.int64)
    set_up_thread(cpu, priority, lock_memory=True)
    bare_loop(latenesses, _first_deadline_ns(period_ns, period_ns // 2), period_ns)
    return latenesses
