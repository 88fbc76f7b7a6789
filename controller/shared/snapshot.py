"""Sealed payloads seen from numpy: sealing, certifying, and a snapshot's two alternating slots.

A seal is sum = sequence + sum of words times powers of an odd constant, and xor = sequence xor all
words, both modulo 2**64. The core computes the same in controller/runtime/publish.py.
"""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

WEIGHT = 0x9E3779B97F4A7C15
HEAD_WORDS = 3  # sequence, sum, xor
READ_ATTEMPTS = 16

Words = NDArray[np.uint64]


@cache
def weights(count: int) -> Words:
    """Return the odd constants of a seal: powers 1 to `count` of WEIGHT."""
    return np.multiply.accumulate(np.full(count, WEIGHT, np.uint64))


def seal(sequence: int, words: Words) -> tuple[int, int]:
    """Return (sum, xor) over a payload's words under this sequence."""
    total = int((words * weights(len(words))).sum(dtype=np.uint64))
    return (total + sequence) % 2**64, int(np.bitwise_xor.reduce(words)) ^ sequence


def _words(slots: Any, index: int) -> Words:
    view: Words = slots[index : index + 1].view(np.uint64)
    return view


def write_sealed(slots: Any, index: int, sequence: int, value: Any) -> None:
    """Write a payload and its seal into slot `index`; the sequence goes last."""
    words = _words(slots, index)
    payload = np.frombuffer(value.tobytes(), np.uint64)
    words[0] = 0
    words[HEAD_WORDS:] = payload
    words[1:HEAD_WORDS] = seal(sequence, payload)
    words[0] = sequence


def try_read_sealed(slots: Any, index: int, sequence: int) -> np.void | None:
    """Return a private copy of a slot's payload if it is whole and of this sequence, else None."""
    copy = _words(slots, index).copy()
    if int(copy[0]) != sequence:
        return None
    if seal(sequence, copy[HEAD_WORDS:]) != (int(copy[1]), int(copy[2])):
        return None
    payload: np.void = copy[HEAD_WORDS:].view(slots.dtype["payload"])[0]
    return payload


def read_newest(pair: Any) -> tuple[int, np.void] | None:
    """Return (sequence, payload) of an alternating pair, whole, or None where there is none yet."""
    for _ in range(READ_ATTEMPTS):
        sequence = int(pair["newest"])
        payload = try_read_sealed(pair["slots"], sequence % 2, sequence) if sequence else None
        if payload is not None:
            return sequence, payload
    return None


def write_next(pair: Any, value: Any) -> int:
    """Write a payload into the older of two slots and return its sequence (one writer only)."""
    sequence = int(pair["newest"]) + 1
    write_sealed(pair["slots"], sequence % 2, sequence, value)
    pair["newest"] = sequence
    return sequence
