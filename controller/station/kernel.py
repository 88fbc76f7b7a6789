"""The one way a cyclic function of the station is compiled."""

from numba import njit

kernel = njit(cache=True, nogil=True, error_model="numpy")
