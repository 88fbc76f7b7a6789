"""The one way a cyclic function of the station is compiled."""

from numba import njit

# _nrt=False: no reference counts; what would allocate does not compile
kernel = njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
