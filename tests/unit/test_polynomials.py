"""The project's own sine, cosine, arctangent and exponential are as good as the library's."""

import math
import struct

import numpy as np

from motion.polynomials import arctangent, cosine, exponential, sine

BITS = ["3feaed548f090cee", "3feb981dbf665fdf", "3f99511fc6871044", "3fd2a73a661eaf06"]


def test_sine_and_cosine_over_many_turns() -> None:
    x = np.concatenate([np.linspace(-1e4, 1e4, 20001), np.linspace(-7.0, 7.0, 20001)])
    assert max(abs(sine(v) - math.sin(v)) for v in x) < 3e-16
    assert max(abs(cosine(v) - math.cos(v)) for v in x) < 3e-16


def test_exponential_over_its_range() -> None:
    x = np.linspace(-708.0, 709.0, 20001)
    assert max(abs(exponential(v) / math.exp(v) - 1.0) for v in x) < 4e-16
    assert exponential(-1e9) == 0.0
    assert exponential(1e9) == exponential(709.0)


def test_arctangent_over_its_range() -> None:
    x = np.concatenate([np.linspace(-5.0, 5.0, 20001), [1e9, -1e300, 0.0]])
    assert max(abs(arctangent(v) - math.atan(v)) for v in x) < 3e-16


def test_exact_points() -> None:
    assert (sine(0.0), cosine(0.0), exponential(0.0), arctangent(0.0)) == (0.0, 1.0, 1.0, 0.0)


def test_bits_are_pinned() -> None:
    """Recordings of one machine replay on another only if these never change."""
    values = [sine(1.0), cosine(100.0), exponential(-3.7), arctangent(0.3)]
    bits = [struct.pack(">d", v).hex() for v in values]
    assert bits == BITS
