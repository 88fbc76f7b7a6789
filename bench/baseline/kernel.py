"""How the baseline's kernels are compiled; as the simulator it runs on."""

from collections.abc import Callable
from typing import Any

from numba import njit

kernel: Callable[..., Any] = njit(cache=True, nogil=True, error_model="numpy")
