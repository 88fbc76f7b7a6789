"""Runs of several seeds become one row of the comparison."""

import numpy as np
import pytest

from bench.stacking_cases import CASES, VARIATIONS
from bench.stacking_pool import Run, pooled
from bench.stacking_run import changed_plant
from bench.stacking_table import markdown
from hal_sim.judge.layout import JUDGE_DTYPE


def run(seed: int, seconds: float, stuck: str = "") -> Run:
    judge = np.zeros(1, JUDGE_DTYPE)
    judge[0]["interval_s"], judge[0]["interval_count"] = seconds, 100
    summary = {
        "cells": 2,
        "s_per_sheet": seconds / 100.0,
        "bound_s_per_sheet": 0.25,
        "recoveries": {"pick_missed": seed} if seed > 1 else {},
        "virtual_s": 60.0,
        "wall_s": 0.5,
        "realtime_ratio": 120.0,
        "digest": f"{seed:064x}",
    }
    return Run(seed, {} if stuck else summary, [judge], 3.0, stuck)


def test_counts_add_up_and_the_pace_is_of_all_sheets() -> None:
    row = pooled([run(1, 26.0), run(2, 30.0), run(3, 34.0)])
    assert row["cells"] == 6
    assert row["s_per_sheet"] == pytest.approx(0.30)
    assert row["bound_s_per_sheet"] == 0.25
    assert row["recoveries"] == {"pick_missed": 5}
    assert row["realtime_ratio"] == pytest.approx(120.0)
    assert row["digest"] != pooled([run(1, 26.0), run(3, 30.0), run(2, 34.0)])["digest"]


def test_a_run_that_got_stuck_is_told_and_its_figures_stay_in() -> None:
    row = pooled([run(1, 20.0), run(2, 40.0, stuck="ABORTED")])
    assert row["stuck"] == ["seed 2: ABORTED"]
    assert row["cells"] == 2
    assert row["s_per_sheet"] == pytest.approx(0.30)


def test_every_case_has_its_files_and_a_valid_plant() -> None:
    for case in {*CASES, *VARIATIONS}:
        changed_plant(case)
    soft = next(case for case in VARIATIONS if case.variant == "modulus 0.5 GPa")
    assert changed_plant(soft).web.modulus_pa == pytest.approx(0.5e9)


def test_a_document_has_a_line_a_figure() -> None:
    row = {"class": "B", "controller": "foldline", "variant": "reference", **pooled([run(1, 26.0)])}
    lines = markdown([row, row]).splitlines()
    assert lines[0] == "| figure | B foldline | B foldline |"
    assert "| s/sheet | 0.2600 | 0.2600 |" in lines
    assert "| over bound | 1.040 | 1.040 |" in lines
