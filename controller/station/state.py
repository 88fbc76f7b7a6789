"""The controller's own state: everything the scan remembers from one cycle to the next."""

import numpy as np

from controller.shared.events import EVENT_DTYPE
from controller.shared.status import MACHINE_STATUS_DTYPE, STATION_STATUS_DTYPE
from drivers.image import STATIONS_MAX

EVENTS_PER_CYCLE_MAX = 64

# What one cycle has to tell; publish moves it to the ring, the next scan starts it afresh.
OUTBOX_DTYPE = np.dtype(
    [
        ("count", np.int32),
        ("lost", np.int32),
        ("events", EVENT_DTYPE, (EVENTS_PER_CYCLE_MAX,)),
    ],
    align=True,
)

STATION_STATE_DTYPE = np.dtype([("status", STATION_STATUS_DTYPE)], align=True)

STATE_DTYPE = np.dtype(
    [
        ("machine", MACHINE_STATUS_DTYPE),
        ("outbox", OUTBOX_DTYPE),
        ("records_produced", np.uint64),
        ("records_acknowledged", np.uint64),
        ("shut_down_done", np.uint8),  # axes at rest, drives disabled: the loop may end
        ("stations", STATION_STATE_DTYPE, (STATIONS_MAX,)),
    ],
    align=True,
)
