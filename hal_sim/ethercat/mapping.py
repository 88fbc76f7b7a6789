"""Process data inside a slave, compiled: objects <-> process memory after the PDO assignment."""

import numpy as np
from numba import njit

from drivers.ethercat.little_endian import get_u16, get_u32
from drivers.ethercat.protocol import SYNC_MANAGER_BYTES, Register
from hal_sim.ethercat.layout import RAM_START
from hal_sim.ethercat.mailbox import find_object

_MANAGER, _SIZE = int(Register.SYNC_MANAGER), SYNC_MANAGER_BYTES


@njit(cache=True, nogil=True, error_model="numpy")
def _map_pdo(slave, pdo, rows, count, bit):
    """Append a PDO's entries to the mapping; returns (rows used, bits used)."""
    head = find_object(slave, pdo, 0)
    if head < 0:
        return count, bit
    for n in range(1, np.int64(slave.values[slave.objects[head].offset]) + 1):
        word = get_u32(slave.values, slave.objects[find_object(slave, pdo, n)].offset)
        place = find_object(slave, word >> 16, (word >> 8) & 0xFF)
        if place < 0 or count >= rows.size:
            return count, bit
        rows[count].frame_bit = bit
        rows[count].offset = slave.objects[place].offset
        rows[count].bits = word & 0xFF
        count += 1
        bit += word & 0xFF
    return count, bit


@njit(cache=True, nogil=True, error_model="numpy")
def _map_direction(slave, assign, rows):
    """Rebuild one direction from its assignment object; returns (rows, bytes)."""
    count, bit = 0, 0
    head = find_object(slave, assign, 0)
    if head < 0:
        return 0, 0
    for n in range(1, np.int64(slave.values[slave.objects[head].offset]) + 1):
        place = find_object(slave, assign, n)
        if place >= 0:
            pdo = get_u16(slave.values, slave.objects[place].offset)
            count, bit = _map_pdo(slave, pdo, rows, count, bit)
    return count, (bit + 7) // 8


@njit(cache=True, nogil=True, error_model="numpy")
def rebuild_mapping(slave):
    """Follow the PDO assignment as the master left it in PRE-OP."""
    slave.output_count, slave.output_bytes = _map_direction(slave, 0x1C12, slave.outputs)
    slave.input_count, slave.input_bytes = _map_direction(slave, 0x1C13, slave.inputs)


@njit(cache=True, nogil=True, error_model="numpy")
def take_outputs(slave):
    """Copy process memory into the mapped objects."""
    start = get_u16(slave.memory, _MANAGER + slave.output_manager * _SIZE)
    if start + slave.output_bytes > slave.memory.size:
        return
    for k in range(slave.output_count):
        row = slave.outputs[k]
        byte = start + (row.frame_bit >> 3)
        if row.bits == 1:
            slave.values[row.offset] = (slave.memory[byte] >> (row.frame_bit & 7)) & 1
        else:
            for n in range(row.bits >> 3):
                slave.values[row.offset + n] = slave.memory[byte + n]


@njit(cache=True, nogil=True, error_model="numpy")
def give_inputs(slave):
    """Copy the mapped objects into process memory."""
    start = get_u16(slave.memory, _MANAGER + slave.input_manager * _SIZE)
    if start < RAM_START or start + slave.input_bytes > slave.memory.size:
        return
    for k in range(slave.input_count):
        row = slave.inputs[k]
        byte = start + (row.frame_bit >> 3)
        if row.bits == 1:
            mask = 1 << (row.frame_bit & 7)
            high = mask if slave.values[row.offset] & 1 else 0
            slave.memory[byte] = (slave.memory[byte] & (0xFF ^ mask)) | high
        else:
            for n in range(row.bits >> 3):
                slave.memory[byte + n] = slave.values[row.offset + n]
