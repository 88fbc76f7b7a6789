"""The outbox keeps every cell, once, in order, until the MES has it."""

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from controller.gateway.records.outbox import Outbox
from controller.shared.records import CELL_RECORD_DTYPE, RejectReason, Verdict


def cell(counter: int, verdict: Verdict = Verdict.GOOD) -> Any:
    record = np.zeros((), CELL_RECORD_DTYPE)
    record["counter"], record["cell"], record["verdict"] = counter, 100 + counter, verdict
    record["layer_count"] = 2
    record["layers"]["overhang_m"][:2] = 0.0015
    record["tension_mean_n"] = 3.0
    record["hipot_resistance_ohm"] = np.inf
    return record


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path / "records.sqlite")


def test_it_is_durable_before_it_returns(outbox: Outbox) -> None:
    assert outbox.connection.execute("pragma journal_mode").fetchone() == ("wal",)
    assert outbox.connection.execute("pragma synchronous").fetchone() == (2,)


def test_a_cell_offered_twice_is_stored_once(outbox: Outbox) -> None:
    assert outbox.store("run", [cell(1), cell(2)], 0, "software") == 2
    assert outbox.store("run", [cell(1), cell(2), cell(3)], 0, "other") == 3
    stored = outbox.after(0, 10)
    assert [each.counter for each in stored] == [1, 2, 3]
    assert [each.software for each in stored] == ["software", "software", "other"]


def test_two_runs_may_use_the_same_counter(outbox: Outbox) -> None:
    outbox.store("first", [cell(1)], 0, "")
    outbox.store("second", [cell(1)], 0, "")
    ids = [each.result_id for each in outbox.after(0, 10)]
    assert ids == ["first:1", "second:1"]
    assert outbox.newest_counter("second") == 1


def test_nothing_goes_before_it_is_acknowledged(outbox: Outbox) -> None:
    outbox.store("run", [cell(n) for n in range(1, 6)], 0, "")
    assert outbox.acknowledge(["run:2", "run:9", "nonsense", "run:4"]) == [True, False, False, True]
    assert [each.counter for each in outbox.open_records(10)] == [1, 3, 5]
    first = outbox.record("run:2")
    assert first is not None
    outbox.acknowledge(["run:2"])
    again = outbox.record("run:2")
    assert again is not None
    assert again.acknowledged_ns == first.acknowledged_ns


def test_the_content_says_what_happened_to_the_cell(outbox: Outbox) -> None:
    record = cell(1, Verdict.REJECTED)
    record["reasons"] = RejectReason.TENSION | RejectReason.OVERHANG
    outbox.store("run", [record], 1000, "")
    stored = outbox.latest()
    assert stored is not None
    assert stored.content["verdict"] == "REJECTED"
    assert stored.content["reasons"] == ["OVERHANG", "TENSION"]
    assert len(stored.content["layers"]) == 2
    assert stored.content["layers"][0]["overhang_m"]["left"] == pytest.approx(0.0015)
    assert stored.content["hipot_resistance_ohm"] is None
    assert stored.finished_ns == 1000


def test_serials_and_lots_go_with_the_cells_they_belong_to(outbox: Outbox) -> None:
    outbox.set_material("separator", "S-1")
    outbox.add_serials(["A", "B"])
    outbox.store("run", [cell(1)], 0, "")
    outbox.set_material("separator", "S-2")
    outbox.store("run", [cell(2), cell(3)], 0, "")
    stored = outbox.after(0, 10)
    assert [each.serial for each in stored] == ["A", "B", None]
    assert [each.lots["separator"] for each in stored] == ["S-1", "S-2", "S-2"]
    with pytest.raises(sqlite3.IntegrityError):
        outbox.add_serials(["C", "A"])
    assert outbox.serials_left() == 0


def test_a_failed_store_leaves_nothing_behind(outbox: Outbox) -> None:
    with pytest.raises(TypeError):
        outbox.store("run", [cell(1), None], 0, "")
    assert outbox.last_sequence() == 0
    assert outbox.store("run", [cell(1)], 0, "") == 1
