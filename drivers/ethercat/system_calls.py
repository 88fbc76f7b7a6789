"""The system calls of the cyclic exchange, called from compiled code without the interpreter."""

from typing import Any

from numba import njit, types

_LONG, _INT = types.int64, types.int32
ppoll: Any = types.ExternalFunction("ppoll", _INT(_LONG, _LONG, _LONG, _LONG))
send: Any = types.ExternalFunction("send", _LONG(_INT, _LONG, _LONG, _INT))
recv: Any = types.ExternalFunction("recv", _LONG(_INT, _LONG, _LONG, _INT))
clock_gettime: Any = types.ExternalFunction("clock_gettime", _INT(_INT, _LONG))

DONT_WAIT = 0x40
POLL_IN = 0x0001
CLOCK_MONOTONIC = 1


@njit(cache=True, nogil=True, error_model="numpy")
def monotonic_ns(time, address):
    """Return CLOCK_MONOTONIC; `time` is int64[2] scratch and `address` where it lies."""
    clock_gettime(CLOCK_MONOTONIC, address)
    return time[0] * 1_000_000_000 + time[1]


@njit(cache=True, nogil=True, error_model="numpy")
def wait_readable(descriptor, poll, poll_address, time, time_address, timeout_ns):
    """Wait until a descriptor is readable or the time is over; `poll` is int64[1] scratch."""
    poll[0] = descriptor | POLL_IN << 32
    time[0] = timeout_ns // 1_000_000_000
    time[1] = timeout_ns % 1_000_000_000
    return ppoll(poll_address, 1, time_address, 0)
