"""What a station learns of its web and its table: the layout of what is worth keeping over a restart.

A table over the path time of a half fold is good for the plan it was learned with alone.
"""

from enum import IntEnum

import numpy as np

LEARNED_BINS = 512  # of one period each, or of as many as let a section fit


class Learner(IntEnum):
    """What learns, from an error that comes again every fold, a force that takes it away."""

    TENSION = 0  # the dancer's force, from the load cell
    TABLE = 1  # table X's force, from its following error


LEARNED_DTYPE = np.dtype(
    [
        ("force_n", np.float64, (len(Learner), 2, LEARNED_BINS)),  # by SectionId, at half a stack
        ("growth_n", np.float64, (len(Learner), 2, LEARNED_BINS)),  # and more at a full one
        ("folds", np.int64, (2,)),  # half folds each table was learned from
        ("roll_radius_m", np.float64),  # estimated from web fed over angle; 0 for unknown
    ],
    align=True,
)
