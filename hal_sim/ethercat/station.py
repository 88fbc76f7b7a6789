"""The virtual machine on a network interface: frames answered and the plant kept going in real time."""

import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import numpy as np
from numba import from_dtype, njit, types

from drivers.ethercat.packet_socket import open_packet_socket
from drivers.ethercat.system_calls import (
    DONT_WAIT,
    monotonic_ns,
    recv,
    send,
    wait_readable,
)
from drivers.seam import EXCHANGE_TYPE
from hal_sim.ethercat import bench_drives
from hal_sim.ethercat.body import (
    BODY_DTYPE,
    Body,
    begin_tick,
    end_tick,
    machine_image,
    plant_bytes,
    serve_frame,
)
from hal_sim.ethercat.layout import BYTES_TYPE

_BODY_BYTES = BODY_DTYPE.itemsize
_SILENCE_NS = (
    20_000_000  # a plant that follows its master goes on alone after so long without frames
)
_BEHIND_MAX = 200  # periods the plant catches up; beyond that time is dropped
_FRAME_BYTES = 1536

LOOP_DTYPE = np.dtype(
    [
        ("stop", np.uint8),
        ("next_tick_ns", np.int64),
        ("frames_a_tick", np.int64),  # 0: the plant keeps its own time
        ("frames_ticked", np.int64),
        ("ticks_dropped", np.int64),
        ("replies", np.int64),
        ("poll", np.int64, (1,)),
        ("time", np.int64, (2,)),
        ("frame", np.uint8, (_FRAME_BYTES,)),
    ],
    align=True,
)


@njit(cache=True, nogil=True, error_model="numpy")
def _answer(body, loop, descriptor, now_ns):
    """Answer the frames that wait in the socket: every one, or one where each is a tick."""
    wire = body[:_BODY_BYTES].view(BODY_DTYPE)[0].wire
    frame = loop.frame[:]
    length = recv(descriptor, frame.ctypes.data, _FRAME_BYTES, DONT_WAIT)
    while length > 0:
        count = serve_frame(body, frame, length, now_ns)
        for k in range(count):
            reply = wire.replies[k]
            send(descriptor, reply.ctypes.data, wire.lengths[k], DONT_WAIT)
        loop.replies += count
        if loop.frames_a_tick > 0:
            return
        length = recv(descriptor, frame.ctypes.data, _FRAME_BYTES, DONT_WAIT)


@njit(
    types.void(BYTES_TYPE, from_dtype(LOOP_DTYPE), types.int64, EXCHANGE_TYPE),
    cache=True, nogil=True, error_model="numpy",
)  # fmt: skip
def _serve(body, loop, descriptor, plant_exchange):
    """Answer frames and tick, once a period or with each cycle's frames, until told to stop."""
    header = body[:_BODY_BYTES].view(BODY_DTYPE)[0]
    period_ns, wire = header.period_ns, header.wire
    time, poll = loop.time, loop.poll
    loop.next_tick_ns = monotonic_ns(time, time.ctypes.data) + period_ns
    while loop.stop == 0:
        now_ns = monotonic_ns(time, time.ctypes.data)
        left_ns = loop.next_tick_ns - now_ns
        fresh = wire.cyclic_frames - loop.frames_ticked
        if loop.frames_a_tick > 0 and fresh >= loop.frames_a_tick:
            loop.frames_ticked = wire.cyclic_frames
            begin_tick(body, now_ns)
            plant_exchange(machine_image(body), plant_bytes(body))
            end_tick(body)
            loop.next_tick_ns = now_ns + _SILENCE_NS
        elif left_ns <= 0:
            if left_ns < -_BEHIND_MAX * period_ns:
                loop.ticks_dropped += -left_ns // period_ns
                loop.next_tick_ns = now_ns
            begin_tick(body, loop.next_tick_ns)
            plant_exchange(machine_image(body), plant_bytes(body))
            end_tick(body)
            loop.next_tick_ns += period_ns
        else:
            wait_readable(descriptor, poll, poll.ctypes.data, time, time.ctypes.data, left_ns)
        _answer(body, loop, descriptor, monotonic_ns(time, time.ctypes.data))


class SimStation:
    """Serves a Body on an interface from a thread of its own; a context manager.

    With `frames_a_tick` its time follows the master's cycles, as long as they come: what the master's
    computer misses is then no jolt of the machine. Without, the plant keeps its own time.
    """

    def __init__(
        self,
        body: Body,
        interface: str,
        plant_exchange: Any = bench_drives.exchange,
        set_up: Callable[[], object] | None = None,
        frames_a_tick: int = 0,
    ) -> None:
        self.body = body
        self._set_up = set_up  # called once in the serving thread: priority, processor
        self._plant_exchange = plant_exchange
        self._loop = np.zeros(1, LOOP_DTYPE)
        self._loop[0]["frames_a_tick"] = frames_a_tick
        self._socket: socket.socket = open_packet_socket(interface, cyclic=None)
        self._thread = threading.Thread(target=self._run, name="sim-bus", daemon=True)

    def _run(self) -> None:
        if self._set_up is not None:
            self._set_up()
        _serve(self.body.buffer, self._loop[0], self._socket.fileno(), self._plant_exchange)

    @property
    def replies(self) -> int:
        """How many frames have been answered."""
        return int(self._loop[0]["replies"])

    @property
    def ticks_dropped(self) -> int:
        """Periods the plant could not keep up with."""
        return int(self._loop[0]["ticks_dropped"])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop[0]["stop"] = 1
        self._thread.join()
        self._socket.close()


def warm(body: Body, plant_exchange: Any = bench_drives.exchange) -> None:
    """Compile what the loop needs, before frames are waited for."""
    frame = np.zeros(_FRAME_BYTES, np.uint8)
    serve_frame(body.buffer, frame, 0, 0)
    handle = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    loop = np.zeros(1, LOOP_DTYPE)
    loop[0]["stop"] = 1
    _serve(body.buffer, loop[0], handle.fileno(), plant_exchange)
    handle.close()
