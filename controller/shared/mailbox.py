"""Mailboxes between the io process, the planner and the core, seen from numpy."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from controller.shared.layout import PLAN_SLOTS, REQUEST_DTYPE, ReadingChannel
from controller.shared.snapshot import read_newest, try_read_sealed, write_next, write_sealed


def publish_reading(station: Any, channel: ReadingChannel, reading: Any) -> int:
    """Hand a CAMERA_READING_DTYPE record to the core and return its mailbox sequence."""
    return write_next(station["readings"][channel], reading)


def read_requests(stations: Any, count: int) -> NDArray[np.void]:
    """Return what the core asks of the io process, (count,) of REQUEST_DTYPE."""
    requests = np.zeros(count, REQUEST_DTYPE)
    for index in range(count):
        newest = read_newest(stations[index]["requests"])
        if newest is not None:
            requests[index] = newest[1]
    return requests


def write_plan(station: Any, slot: int, plan: Any) -> int:
    """Write a plan into one of a station's slots and return its sequence.

    The core copies it piecemeal into memory of its own and commits it only when whole, so that even
    a plan overwritten while it is copied does no harm.
    """
    sequence = int(station["plans"]["sequence"].max()) + 1
    write_sealed(station["plans"], slot, sequence, plan)
    return sequence


def read_plan(station: Any, slot: int) -> np.void | None:
    """Return the plan in a slot if it is whole, else None."""
    if not 0 <= slot < PLAN_SLOTS:
        raise ValueError(f"plan slot = {slot}: must be 0 to {PLAN_SLOTS - 1}")
    plans = station["plans"]
    sequence = int(plans[slot]["sequence"])
    return try_read_sealed(plans, slot, sequence) if sequence else None
