"""Count the lines that a cycle of the exchange runs: `NUMBA_DISABLE_JIT=1 python -m tests.unit.frame_work 8`.

Prints process data in bytes and lines run, one bus of bare drives a line.
"""

import sys
from types import FrameType
from typing import Any

import numpy as np

from drivers.ethercat import frame, process_data
from drivers.ethercat.link import LINK_DTYPE, make_link
from drivers.ethercat.topology import drives_topology
from drivers.image import IMAGE_DTYPE
from drivers.seam import ExchangeCode


def as_record(buffer: np.ndarray, layout: np.dtype) -> Any:
    """A record whose fields are attributes, as compiled code sees them."""
    return buffer.view(np.dtype((np.record, layout)))[0]


def cycle(link: Any, image: Any) -> int:
    """Pack, send to slaves that answer everything, check, settle and unpack."""
    process_data.pack(link, image.outputs)
    frame.stamp(link)
    for k in range(link.frame_count):
        sent = link.frames[k]
        reply, size = sent.transmit.copy(), int(sent.data_bytes)
        reply[26 + size] = sent.working_counter_expected & 0xFF
        reply[27 + size] = sent.working_counter_expected >> 8
        reply[58 + size], reply[60 + size] = 8, link.slave_count
        frame.accept(link, reply, int(sent.length))
    code = frame.settle(link)
    process_data.unpack(link, image.inputs, link.period_ns)
    return int(code)


def lines_of_a_cycle(drives: int) -> tuple[int, int]:
    """Return (bytes of process data, lines run)."""
    link = as_record(make_link(drives_topology(drives)), LINK_DTYPE)
    image = as_record(np.zeros(IMAGE_DTYPE.itemsize, np.uint8), IMAGE_DTYPE)
    lines = 0

    def trace(called: FrameType, event: str, _argument: Any) -> Any:
        nonlocal lines
        lines += event == "line"
        return trace if "/drivers/" in called.f_code.co_filename else None

    sys.settrace(trace)
    try:
        code = cycle(link, image)
    finally:
        sys.settrace(None)
    if code != ExchangeCode.OK:
        raise RuntimeError(f"{drives} drives: the cycle was not whole")
    return int(link.process_bytes), lines


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        print(*lines_of_a_cycle(int(argument)))
