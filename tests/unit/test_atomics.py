"""Words at an address and the clock: what the compiler may not rearrange, and what libc answers."""

import time

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
from controller.runtime.clock import monotonic_ns, sleep_until, wait_real, wait_virtual

PAIR_DTYPE = np.dtype([("first", np.uint64), ("second", np.uint64)], align=True)


@njit
def swap(record):
    """Exchange the two words of a record by address."""
    first = address_of(record)
    second = first + np.uint64(8)
    word = load_acquire(first)
    store_word(first, load_word(second))
    fence_release()
    store_release(second, word)


def test_words_are_read_and_written_where_they_lie() -> None:
    pair = np.array([(2**64 - 1, 7)], PAIR_DTYPE)
    swap(pair[0])
    assert tuple(pair[0]) == (7, 2**64 - 1)


def test_the_order_is_in_the_code_the_compiler_made() -> None:
    swap(np.zeros(1, PAIR_DTYPE)[0])
    (code,) = swap.inspect_llvm().values()
    assert "load atomic i64" in code
    assert "acquire, align 8" in code
    assert "store atomic i64" in code
    assert "release, align 8" in code
    assert "fence release" in code


def test_the_clock_is_pythons_own() -> None:
    before = time.monotonic_ns()
    now = monotonic_ns()
    assert before <= now <= time.monotonic_ns()


def test_an_absolute_sleep_ends_after_its_deadline() -> None:
    deadline = time.monotonic_ns() + 2_000_000
    assert wait_real(deadline) >= deadline
    assert sleep_until(time.monotonic_ns() - 1) == 0


def test_an_impossible_deadline_is_refused_by_number() -> None:
    assert sleep_until(-1) == 22  # EINVAL


def test_virtual_time_is_always_on_time() -> None:
    assert wait_virtual(123_456_789) == 123_456_789
