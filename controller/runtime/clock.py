"""The monotonic clock and the absolute sleep, straight from libc."""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from controller.runtime.atomics import load_word, store_word

_NANOSECONDS = 1_000_000_000
_CLOCK_MONOTONIC = 1
_TIMER_ABSTIME = 1
_EINTR = 4
_SECOND_FIELD = np.uint64(8)  # tv_nsec behind tv_sec

_clock_gettime = types.ExternalFunction("clock_gettime", types.int32(types.int32, types.uint64))
_clock_nanosleep = types.ExternalFunction(
    "clock_nanosleep", types.int32(types.int32, types.int32, types.uint64, types.uint64)
)

WAIT_SIGNATURE = types.int64(types.int64)


@intrinsic
def _timespec(typing_context: Any) -> Any:
    """Return the address of a struct timespec on the caller's stack."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        timespec = cgutils.alloca_once(builder, ir.ArrayType(ir.IntType(64), 2))
        return builder.ptrtoint(timespec, ir.IntType(64))

    return types.uint64(), generate


@njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
def monotonic_ns():
    """Return CLOCK_MONOTONIC in nanoseconds."""
    now = _timespec()
    _clock_gettime(_CLOCK_MONOTONIC, now)
    seconds = np.int64(load_word(now))
    return seconds * _NANOSECONDS + np.int64(load_word(now + _SECOND_FIELD))


@njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
def sleep_until(deadline_ns):
    """Sleep until CLOCK_MONOTONIC reaches the deadline; return 0 or the error number."""
    deadline = _timespec()
    store_word(deadline, np.uint64(deadline_ns // _NANOSECONDS))
    store_word(deadline + _SECOND_FIELD, np.uint64(deadline_ns % _NANOSECONDS))
    code = _clock_nanosleep(_CLOCK_MONOTONIC, _TIMER_ABSTIME, deadline, 0)
    while code == _EINTR:
        code = _clock_nanosleep(_CLOCK_MONOTONIC, _TIMER_ABSTIME, deadline, 0)
    return code


@njit(WAIT_SIGNATURE, cache=True, nogil=True, error_model="numpy", _nrt=False)
def wait_real(deadline_ns):
    """Sleep until the deadline and return the time then; the wait of the real-time host."""
    sleep_until(deadline_ns)
    return monotonic_ns()


@njit(WAIT_SIGNATURE, cache=True, nogil=True, error_model="numpy", _nrt=False)
def wait_virtual(deadline_ns):
    """Return the deadline: in virtual time nothing sleeps and nothing is late."""
    return deadline_ns
