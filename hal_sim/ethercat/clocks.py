"""Distributed clocks, compiled: a drifting local clock, the system time on top, and its control loop."""

import numpy as np
from numba import njit

from drivers.ethercat.little_endian import get_i64, get_u32, put_i64, put_u32
from drivers.ethercat.protocol import Register

_OFFSET, _DELAY = int(Register.DC_OFFSET), int(Register.DC_DELAY)
_SYSTEM, _DIFFERENCE = int(Register.DC_SYSTEM_TIME), int(Register.DC_DIFFERENCE)
_PORTS, _RECEIVE = int(Register.DC_PORT_TIME), int(Register.DC_RECEIVE_TIME)
_ACTIVATION, _CYCLE = int(Register.DC_ACTIVATION), int(Register.DC_SYNC0_CYCLE)
_START = int(Register.DC_START_TIME)


@njit(cache=True, nogil=True, error_model="numpy")
def local_time_ns(slave, now_ns):
    """Return what the slave's own crystal has counted."""
    elapsed = now_ns - slave.clock_epoch_ns
    rate = slave.clock_drift + slave.clock_adjust
    return slave.clock_base_ns + elapsed + np.int64(elapsed * rate)


@njit(cache=True, nogil=True, error_model="numpy")
def system_time_ns(slave, now_ns):
    """Return the slave's idea of the bus's common time."""
    return local_time_ns(slave, now_ns) + get_i64(slave.memory, _OFFSET)


@njit(cache=True, nogil=True, error_model="numpy")
def latch_ports(slave, now_ns, return_ns):
    """Note when a frame passed towards (port 0) and back (port 1): a write to 0x0900."""
    local = local_time_ns(slave, now_ns)
    put_u32(slave.memory, _PORTS, local)
    put_u32(slave.memory, _PORTS + 4, local_time_ns(slave, return_ns))
    put_i64(slave.memory, _RECEIVE, local)


@njit(cache=True, nogil=True, error_model="numpy")
def follow(slave, reference_ns, now_ns):
    """Compare with the reference time a frame brought and correct rate and phase (PI)."""
    local = local_time_ns(slave, now_ns)
    expected = reference_ns + get_u32(slave.memory, _DELAY)
    difference = local + get_i64(slave.memory, _OFFSET) - expected
    magnitude = min(abs(difference), 0x7FFFFFFF)
    put_u32(slave.memory, _DIFFERENCE, magnitude | (0x80000000 if difference < 0 else 0))
    elapsed = now_ns - slave.clock_epoch_ns
    step = min(max(difference // 16, -1000), 1000)
    if elapsed > 0:
        slave.clock_adjust -= min(max(difference / elapsed / 256.0, -1e-5), 1e-5)
    slave.clock_base_ns = local - step
    slave.clock_epoch_ns = now_ns


@njit(cache=True, nogil=True, error_model="numpy")
def sync0_phase_ns(slave, now_ns):
    """Return the time since the last SYNC0, -1 where it is not active."""
    cycle = get_u32(slave.memory, _CYCLE)
    if slave.memory[_ACTIVATION] & 3 != 3 or cycle <= 0:
        return -1
    return (system_time_ns(slave, now_ns) - get_i64(slave.memory, _START)) % cycle
