"""The cyclic exchange's work grows with the bytes on the bus and with nothing else.

Counted, not timed: the lines that one cycle runs where the kernels are left uncompiled.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
DRIVES = (4, 8, 16, 32, 64)


def test_the_work_of_a_cycle_is_linear_in_the_bytes() -> None:
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.unit.frame_work", *map(str, DRIVES)]
    counted = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True, cwd=ROOT
    )
    rows = [line.split() for line in counted.stdout.splitlines()]
    sizes, lines = (np.array(column, np.float64) for column in zip(*rows, strict=True))
    slope, fixed = np.polyfit(sizes, lines, 1)
    assert lines.size == len(DRIVES) and slope > 1.0
    assert abs(lines - (slope * sizes + fixed)).max() < 0.01 * lines.max()
