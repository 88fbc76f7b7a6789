"""Random streams: one a purpose, so that an event in one never shifts the draws of another.

Each stream is a SplitMix64 generator (Steele, Lea, Flood: Fast splittable pseudorandom number generators,
2014): a counter and a mixing function, seeded by hashing seed, station and stream.
"""

from enum import IntEnum
from math import sqrt

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hal_sim.mathematics import exponential

Streams = NDArray[np.uint64]


class Stream(IntEnum):
    """What a stream is drawn for; polarity and gripper streams are adjacent."""

    PLANT = 0  # true values that the data sheet knows only roughly
    ENCODER = 1
    FEED = 2
    EDGE = 3
    SENSOR = 4
    ANODE_PICK = 5
    CATHODE_PICK = 6
    ANODE_EVENT = 7  # misses and double sheets
    CATHODE_EVENT = 8
    VACUUM = 9  # to 12, by gripper
    ANODE_CAMERA = 13
    CATHODE_CAMERA = 14
    STACK_CAMERA = 15
    ANODE_PLACE = 16
    CATHODE_PLACE = 17
    FINGER = 18
    HIPOT = 19


STREAM_COUNT = len(Stream) + 3  # the vacuum's other three grippers
_MASK64 = (1 << 64) - 1
_GAMMA_INT = 0x9E3779B97F4A7C15
_GAMMA = np.uint64(_GAMMA_INT)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31 = np.uint64(30), np.uint64(27), np.uint64(31)
_S11, _S16, _S32, _S48 = np.uint64(11), np.uint64(16), np.uint64(32), np.uint64(48)
_LOW = np.uint64(0xFFFF)
_ROOT_3 = sqrt(3.0)


def seed_streams(seed: int, station: int) -> Streams:
    """The streams of one station, uint64 (STREAM_COUNT,)."""
    words = []
    for stream in range(STREAM_COUNT):
        z = (seed * 0x632BE59BD9B4E019 + station * 0xD1342543DE82EF95 + stream + 1) & _MASK64
        for _ in range(2):
            z = (z + _GAMMA_INT) & _MASK64
            z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK64
            z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK64
            z ^= z >> 31
        words.append(z)
    return np.array(words, np.uint64)


@njit(cache=True, nogil=True, error_model="numpy")
def draw_word(streams: Streams, stream: int) -> np.uint64:
    """The next 64 bits of a stream."""
    z = streams[stream] + _GAMMA
    streams[stream] = z
    z = (z ^ (z >> _S30)) * _MIX_1
    z = (z ^ (z >> _S27)) * _MIX_2
    return z ^ (z >> _S31)


@njit(cache=True, nogil=True, error_model="numpy")
def draw_uniform(streams: Streams, stream: int) -> float:
    """A number in [0, 1)."""
    return np.float64(draw_word(streams, stream) >> _S11) * 1.1102230246251565e-16


@njit(cache=True, nogil=True, error_model="numpy")
def _sum_of_four(word: np.uint64) -> np.int64:
    """The sum of a word's four 16-bit parts."""
    return np.int64((word & _LOW) + ((word >> _S16) & _LOW) + ((word >> _S32) & _LOW)) + np.int64(
        word >> _S48
    )


@njit(cache=True, nogil=True, error_model="numpy")
def draw_cheap(streams: Streams, stream: int) -> float:
    """Nearly normal, sigma 1: four uniforms of one word, tails cut at 3.5; for cyclic noise."""
    return (np.float64(_sum_of_four(draw_word(streams, stream))) / 65535.0 - 2.0) * _ROOT_3


@njit(cache=True, nogil=True, error_model="numpy")
def draw_normal(streams: Streams, stream: int) -> float:
    """Normal, sigma 1, by the sum of twelve uniforms: tails to 6; for events."""
    total = _sum_of_four(draw_word(streams, stream))
    total += _sum_of_four(draw_word(streams, stream))
    total += _sum_of_four(draw_word(streams, stream))
    return np.float64(total) / 65535.0 - 6.0


@njit(cache=True, nogil=True, error_model="numpy")
def draw_lognormal(streams: Streams, stream: int, median: float, sigma_log: float) -> float:
    """Lognormal with the given median and sigma of the logarithm."""
    return median * exponential(sigma_log * draw_normal(streams, stream))
