"""The judge's figures are pooled over runs from sums and bins, as if all had been one run."""

from math import sqrt
from typing import Any

import numpy as np
import pytest

from hal_sim.judge.figures import pooled_figures
from hal_sim.judge.layout import JUDGE_DTYPE


def judge(**values: Any) -> np.ndarray:
    made = np.zeros(1, JUDGE_DTYPE)
    for name, value in values.items():
        made[0][name] = value
    return made


def with_overlay(errors_um: list[int]) -> np.ndarray:
    made = judge(
        overlay_count=len(errors_um), overlay_square_m2=sum(e * e * 1e-12 for e in errors_um)
    )
    for error in errors_um:
        made[0]["overlay_bins"][error] += 1
    return made


def test_a_quantile_is_of_all_samples_not_of_the_runs() -> None:
    calm, wild = with_overlay([10] * 990), with_overlay([100] * 10)
    overlay = pooled_figures([calm, wild], 3.0)["overlay_mm"]
    assert overlay["p50"] == pytest.approx(0.011)
    assert overlay["p99_7"] == pytest.approx(0.101)
    assert overlay["sigma"] == pytest.approx(1e-3 * sqrt((990 * 100 + 10 * 10_000) / 1000))


def test_the_learning_cells_stand_apart() -> None:
    run = judge()
    for number, name in enumerate(("tension_first", "tension_second", "tension"), 1):
        run[0][name] = (100, 100.0 * number**2, 2.0 * number, 1.0, 5.0)
    tension = pooled_figures([run, run], 3.0)["tension_n"]
    assert tension["first_cell"]["rms_deviation"] == pytest.approx(1.0)
    assert tension["second_cell"]["rms_deviation"] == pytest.approx(2.0)
    assert tension["rms_deviation"] == pytest.approx(3.0)
    assert tension["peak_deviation"] == 6.0


def test_a_cell_change_is_what_it_takes_beyond_a_sheet() -> None:
    short = judge(interval_s=50.0, interval_count=100, change_s=4.5, change_count=1)
    long = judge(interval_s=50.0, interval_count=100, change_s=17.0, change_count=2)
    assert pooled_figures([short, long], 3.0)["cell_change_s"] == pytest.approx(21.5 / 3 - 0.5)


def test_a_figure_without_samples_is_none() -> None:
    figures = pooled_figures([judge()], 3.0)
    assert figures["cell_change_s"] is None
    assert figures["overlay_mm"]["p99_7"] is None
    assert figures["tension_n"]["rms_deviation"] is None
