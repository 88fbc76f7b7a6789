"""Little-endian numbers in a byte array, compiled; no bounds are checked here."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def get_u16(data, offset):
    """Return the 16 bits at a byte offset."""
    return np.int64(data[offset]) | np.int64(data[offset + 1]) << 8


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def get_u32(data, offset):
    """Return the 32 bits at a byte offset."""
    return get_u16(data, offset) | get_u16(data, offset + 2) << 16


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def get_i16(data, offset):
    """Return the signed 16 bits at a byte offset."""
    value = get_u16(data, offset)
    return value - ((value & 0x8000) << 1)


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def get_i32(data, offset):
    """Return the signed 32 bits at a byte offset."""
    value = get_u32(data, offset)
    return value - ((value & 0x80000000) << 1)


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def get_i64(data, offset):
    """Return the signed 64 bits at a byte offset."""
    return get_u32(data, offset) | get_i32(data, offset + 4) << 32


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def put_u16(data, offset, value):
    """Store the low 16 bits."""
    data[offset] = value & 0xFF
    data[offset + 1] = (value >> 8) & 0xFF


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def put_u32(data, offset, value):
    """Store the low 32 bits."""
    put_u16(data, offset, value)
    put_u16(data, offset + 2, value >> 16)


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def put_i64(data, offset, value):
    """Store 64 bits."""
    put_u32(data, offset, value)
    put_u32(data, offset + 4, value >> 32)
