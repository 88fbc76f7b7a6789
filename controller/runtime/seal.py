"""Sealing and certifying payloads word by word, as controller/shared/snapshot.py does in numpy."""

import numpy as np
from numba import njit

from controller.runtime.atomics import (
    address_of,
    fence_release,
    load_acquire,
    load_word,
    store_release,
    store_word,
)
from controller.shared.snapshot import HEAD_WORDS
from controller.shared.snapshot import WEIGHT as _WEIGHT

WORD = np.uint64(8)
PAYLOAD = np.uint64(8 * HEAD_WORDS)
WEIGHT = np.uint64(_WEIGHT)
_ZERO = np.uint64(0)
_SUM = np.uint64(8)
_XOR = np.uint64(16)
_NEWEST_BYTES = np.uint64(8)


@njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
def write_sealed(slot, source, words, sequence):
    """Copy `words` 64-bit words from the address `source` into the slot at `slot`, and seal it."""
    store_release(slot, _ZERO)
    fence_release()
    payload = slot + PAYLOAD
    total = sequence
    parity = sequence
    weight = WEIGHT
    for i in range(words):
        word = load_word(source + np.uint64(i) * WORD)
        store_word(payload + np.uint64(i) * WORD, word)
        total += word * weight
        parity ^= word
        weight *= WEIGHT
    store_word(slot + _SUM, total)
    store_word(slot + _XOR, parity)
    store_release(slot, sequence)


@njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
def try_read_sealed(slot, target, words):
    """Copy a slot's payload to the address `target`; return its sequence, 0 when it is torn."""
    sequence = load_acquire(slot)
    payload = slot + PAYLOAD
    total = sequence
    parity = sequence
    weight = WEIGHT
    for i in range(words):
        word = load_word(payload + np.uint64(i) * WORD)
        store_word(target + np.uint64(i) * WORD, word)
        total += word * weight
        parity ^= word
        weight *= WEIGHT
    if total != load_word(slot + _SUM) or parity != load_word(slot + _XOR):
        return _ZERO
    return sequence


@njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
def write_next(pair, source, words, slot_bytes, sequence):
    """Write a payload as number `sequence` of the alternating pair at the address `pair`."""
    write_ring(pair, source, words, slot_bytes, np.uint64(2), sequence)


@njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
def write_ring(ring, source, words, slot_bytes, size, sequence):
    """Write a payload as number `sequence` of the ring of `size` slots at the address `ring`."""
    slot = ring + _NEWEST_BYTES + (sequence % size) * slot_bytes
    write_sealed(slot, source, words, sequence)
    store_release(ring, sequence)


@njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
def copy_words(source, target, words):
    """Copy `words` 64-bit words between two addresses."""
    for i in range(words):
        offset = np.uint64(i) * WORD
        store_word(target + offset, load_word(source + offset))


@njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
def copy_record(source, target, words):
    """Copy `words` 64-bit words between two records."""
    copy_words(address_of(source), address_of(target), words)
