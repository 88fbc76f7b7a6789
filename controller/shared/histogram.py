"""The loop's histograms read: quarter octaves of nanoseconds from 64 ns."""

from typing import Any

import numpy as np

from controller.shared.status import HISTOGRAM_BINS

FIRST_NS = 64


def bin_edge_ns(index: int) -> float:
    """Return the lower edge of a bin: each doubling is split into four equal parts."""
    return float(FIRST_NS * 2 ** (index // 4) * (1.0 + (index % 4) / 4.0))


def percentile_ns(histogram: Any, share: float) -> float:
    """Return the duration below which `share` (0 to 1) of a histogram lies, 0 when it is empty.

    Linear within a bin, so good to a fraction of its width (20 % of the value).
    """
    counts = np.asarray(histogram, np.int64)
    total = int(counts.sum())
    if total == 0:
        return 0.0
    wanted = share * total
    upto = np.cumsum(counts)
    index = min(int(np.searchsorted(upto, wanted)), HISTOGRAM_BINS - 1)
    before = int(upto[index] - counts[index])
    low = bin_edge_ns(index) if index else 0.0
    inside = (wanted - before) / counts[index] if counts[index] else 0.0
    return float(low + inside * (bin_edge_ns(index + 1) - low))
