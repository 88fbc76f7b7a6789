"""Steering of the controller's period to the bus's reference clock, compiled."""

import numpy as np
from numba import njit

# Per cycle: the share of the offset taken back at once, and of its sum kept as the rate's error.
PROPORTIONAL = 0.05
INTEGRAL = 0.001
STEP_NS_MAX = 20_000.0

STEERING_DTYPE = np.dtype([("integral_ns", np.float64)], align=True)


@njit(cache=True, nogil=True, error_model="numpy")
def steer(steering, offset_ns):
    """Return what to add to the next wake-up, ns, for a clock offset (`inputs.bus.clock_offset_ns`).

    steering: STEERING_DTYPE record. A frame that is late against the reference (offset above 0) asks for
    an earlier wake-up. PI law; the step is bounded to +-20 us a cycle.
    """
    limit = STEP_NS_MAX
    integral = steering.integral_ns + INTEGRAL * offset_ns
    steering.integral_ns = min(max(integral, -limit), limit)
    step = -(PROPORTIONAL * offset_ns + steering.integral_ns)
    return np.int64(min(max(step, -limit), limit))
