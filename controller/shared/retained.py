"""What a machine keeps over a restart: the layouts of its learned tables and of its identified mode.

The core publishes a station's part whole whenever a cell ends; whoever writes it to disk is in no hurry.
"""

import hashlib

import numpy as np

from controller.shared.learned import LEARNED_DTYPE
from drivers.image import STATIONS_MAX

# What a station has learned; a table over path time is good for the plan it was learned with alone.
STATION_RETAINED_DTYPE = np.dtype(
    [
        ("plan_identity", np.uint8, (32,)),
        ("learned", LEARNED_DTYPE),
        ("bias_m", np.float64, (2, 2)),  # learned placement error, polarity by x, y
        ("bias_rad", np.float64, (2,)),
        ("sheets_total", np.int64),
        ("feed_total_m", np.float64),
    ],
    align=True,
)

COUNTERS_DTYPE = np.dtype(
    [("cells_good", np.int64), ("cells_rejected", np.int64), ("runs", np.int64)], align=True
)

RETAINED_DTYPE = np.dtype(
    [("counters", COUNTERS_DTYPE), ("stations", STATION_RETAINED_DTYPE, (STATIONS_MAX,))],
    align=True,
)

# A table's mode as it was identified on the machine, one a station; frequency 0 where it never was.
MODE_DTYPE = np.dtype(
    [
        ("frequency_hz", np.float64),  # of the empty table
        ("damping", np.float64),
        ("tolerance", np.float64),  # share of the frequency, what the planner is ready for
        ("believed_hz", np.float64),  # what the machine file said when it was identified
        ("identified_s", np.float64),  # since the epoch
    ],
    align=True,
)
MODES_DTYPE = np.dtype([("stations", MODE_DTYPE, (STATIONS_MAX,))], align=True)


def machine_key(name: str, stations: tuple[str, ...], period_us: int) -> bytes:
    """Return the SHA-256 that says whose tables these are: machine, stations and period."""
    return hashlib.sha256("\0".join((name, *stations, str(period_us))).encode()).digest()
