"""Record layouts of motion, free of numba so that shared memory can be sized without a compiler."""

import numpy as np

# Ascending powers of (master - master_start).
SEGMENT_DTYPE = np.dtype(
    [("master_start", np.float64), ("coefficients", np.float64, (6,))], align=True
)

# A cam is a run of segments in a pool; `length` is the master span it covers.
CAM_DTYPE = np.dtype(
    [
        ("first_segment", np.int32),
        ("segment_count", np.int32),
        ("length", np.float64),
        ("periodic", np.uint8),
    ],
    align=True,
)
