"""The seam on the wire: one cycle's frames out and back on an AF_PACKET socket, in compiled code."""

import numpy as np
from numba import njit

from drivers.ethercat.frame import accept, missing, report, settle, stamp
from drivers.ethercat.link import LINK_DTYPE
from drivers.ethercat.process_data import pack, unpack
from drivers.ethercat.system_calls import (
    DONT_WAIT,
    monotonic_ns,
    recv,
    send,
    wait_readable,
)
from drivers.seam import EXCHANGE_SIGNATURE

_RECEIVE_BYTES = 2048
_BACKLOG_MAX = 64  # frames judged after the deadline: those that came while the loop was held up


@njit(cache=True, nogil=True, error_model="numpy")
def send_frames(link):
    """Send every frame of the cycle; one that the kernel refuses is counted and will be missed."""
    for k in range(link.frame_count):
        transmit = link.frames[k].transmit
        length = link.frames[k].length
        if send(link.descriptor, transmit.ctypes.data, length, DONT_WAIT) != length:
            link.send_errors += 1


@njit(cache=True, nogil=True, error_model="numpy")
def _receive(link):
    """Judge one frame that waits in the socket; False where none does."""
    buffer = link.receive
    length = recv(link.descriptor, buffer.ctypes.data, _RECEIVE_BYTES, DONT_WAIT)
    if length > 0:
        accept(link, buffer, length)
    return length > 0


@njit(cache=True, nogil=True, error_model="numpy")
def receive_until(link, start_ns, deadline_ns):
    """Collect replies until all are here or the deadline has passed: look for `spin_ns`, then sleep.

    Frames that nobody waits for stay in the socket until the next cycle; a flood of them keeps no cycle.
    """
    time, poll, too_late = link.time, link.poll, 0
    while missing(link) > 0 and too_late < _BACKLOG_MAX:
        received = _receive(link)
        now_ns = monotonic_ns(time, time.ctypes.data)
        if now_ns >= deadline_ns:
            if not received:
                return
            too_late += 1
        elif not received and now_ns - start_ns >= link.spin_ns:
            left_ns = deadline_ns - now_ns
            wait_readable(link.descriptor, poll, poll.ctypes.data, time, time.ctypes.data, left_ns)


@njit(cache=True, nogil=True, error_model="numpy")
def take(link, inputs):
    """Close the cycle and hand fresh inputs to the image; returns an ExchangeCode."""
    elapsed_ns = link.period_ns * (1 + np.int64(link.misses_in_a_row))
    code = settle(link)
    if code == 0:
        unpack(link, inputs, elapsed_ns)
    report(link, inputs.bus)
    return code


@njit(EXCHANGE_SIGNATURE, cache=True, nogil=True, error_model="numpy")
def exchange(image, context):
    """Send the image's outputs, take the slaves' inputs within the reply time-out.

    image: IMAGE_DTYPE record; context: uint8 view of a LINK_DTYPE record with an open descriptor. Returns
    ExchangeCode.MISSED where the inputs stay the last good ones.
    """
    link = context.view(LINK_DTYPE)[0]
    time = link.time
    pack(link, image.outputs)
    stamp(link)
    start_ns = monotonic_ns(time, time.ctypes.data)
    send_frames(link)
    receive_until(link, start_ns, start_ns + link.reply_timeout_ns)
    link.round_trip_ns = monotonic_ns(time, time.ctypes.data) - start_ns
    return take(link, image.inputs)
