"""What a station learns of its web: the layout of the tables that are worth keeping over a restart.

A table over the path time of a half fold is good for the plan it was learned with alone.
"""

import numpy as np

LEARNED_BINS = 512  # of one period each, or of as many as let a section fit

LEARNED_DTYPE = np.dtype(
    [
        ("force_n", np.float64, (2, LEARNED_BINS)),  # by SectionId: what the dancer's force gains
        ("folds", np.int64, (2,)),  # half folds each table was learned from
        ("roll_radius_m", np.float64),  # estimated from web fed over angle; 0 for unknown
    ],
    align=True,
)
