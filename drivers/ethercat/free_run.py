"""The exchange alone at its period, without a controller: for commissioning, benches and tests."""

import threading
from types import TracebackType
from typing import Any, Self

import numpy as np
from numba import njit, types

from drivers.ethercat.exchange import exchange
from drivers.ethercat.link import LINK_DTYPE
from drivers.ethercat.system_calls import CLOCK_MONOTONIC, monotonic_ns
from drivers.image import IMAGE_DTYPE

_ABSOLUTE = 1
clock_nanosleep: Any = types.ExternalFunction(
    "clock_nanosleep", types.int32(types.int32, types.int32, types.int64, types.int64)
)

FREE_RUN_DTYPE = np.dtype(
    [
        ("stop", np.uint8),
        ("cycles", np.int64),
        ("cycles_max", np.int64),
        ("periods_skipped", np.int64),
        ("wake_ns", np.int64),
        ("time", np.int64, (2,)),
    ],
    align=True,
)


@njit(cache=True, nogil=True, error_model="numpy")
def free_run(run, image, context, round_trip_ns, codes):
    """Exchange once a period until stopped or `cycles_max` is reached; missed periods are skipped.

    run: FREE_RUN_DTYPE record; image: IMAGE_DTYPE record; context: uint8 of LINK_DTYPE; round_trip_ns,
    codes: int64[n], filled for the first n cycles.
    """
    link, time = context.view(LINK_DTYPE)[0], run.time
    period_ns = link.period_ns
    run.wake_ns = monotonic_ns(time, time.ctypes.data)
    while run.stop == 0 and run.cycles < run.cycles_max:
        late_ns = monotonic_ns(time, time.ctypes.data) - run.wake_ns
        skipped = max(late_ns // period_ns, 0)
        run.periods_skipped += skipped
        run.wake_ns += period_ns * (1 + skipped)
        time[0], time[1] = run.wake_ns // 1_000_000_000, run.wake_ns % 1_000_000_000
        clock_nanosleep(CLOCK_MONOTONIC, _ABSOLUTE, time.ctypes.data, 0)
        image.inputs.time_ns = run.wake_ns
        code = exchange(image, context)
        if run.cycles < round_trip_ns.size:
            round_trip_ns[run.cycles] = link.round_trip_ns
            codes[run.cycles] = code
        run.cycles += 1


class FreeRun:
    """Runs the exchange in a thread of its own; a context manager over one link."""

    def __init__(self, context: np.ndarray, record: int = 0, cycles_max: int = 2**62) -> None:
        self.context = context
        self.image: np.void = np.zeros(1, IMAGE_DTYPE)[0]
        self.run: np.void = np.zeros(1, FREE_RUN_DTYPE)[0]
        self.run["cycles_max"] = cycles_max
        self.round_trip_ns = np.zeros(record, np.int64)
        self.codes = np.zeros(record, np.int64)
        self._thread = threading.Thread(target=self._run, name="exchange", daemon=True)

    def _run(self) -> None:
        free_run(self.run, self.image, self.context, self.round_trip_ns, self.codes)

    def warm(self) -> Self:
        """Compile before slaves wait for frames."""
        idle = np.zeros(1, FREE_RUN_DTYPE)[0]
        free_run(idle, self.image, self.context, self.round_trip_ns, self.codes)
        return self

    def join(self, timeout_s: float | None = None) -> None:
        """Wait until `cycles_max` are done."""
        self._thread.join(timeout_s)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.run["stop"] = 1
        self._thread.join()
