"""History on disk: what is written together, what is forgotten, and what a killed writer leaves."""

import sqlite3
import time
from pathlib import Path

import pytest

from controller.gateway.records import history_store
from controller.gateway.records.history_store import ALARMS_MAX, HistoryFile

DAY_NS = 86_400 * 10**9
FOREVER = (0, 1 << 62, 1000)


def test_what_was_taken_is_read_again_after_a_restart(tmp_path: Path) -> None:
    first = HistoryFile(tmp_path / "h", days=30.0)
    first.add_value("tension", 1_000, 3.5, 0)
    first.add_event(time.time_ns(), {"text": "hello"})
    first.set_condition("DOOR", {"active": True})
    first.set_condition("DOOR", {"active": False})
    first.mark_seen("run", 7)
    first.mark_seen("run", 9)
    first.write(first.take())
    again = HistoryFile(tmp_path / "h", days=30.0)
    assert (
        list(again.values("tension", *FOREVER)) == []
    )  # of 1970, and forgotten with the first write
    assert again.events(*FOREVER) == [{"text": "hello"}]
    assert again.conditions() == {"DOOR": {"active": False}}
    assert again.seen("run") == 9
    assert again.seen("another run") == 0


def test_what_was_not_written_is_not_half_there(tmp_path: Path) -> None:
    history = HistoryFile(tmp_path / "h", days=30.0)
    history.add_event(1, {"text": "first"})
    batch = history.take()
    batch.seen.append(("run", None))  # type: ignore[arg-type]
    with pytest.raises(sqlite3.IntegrityError):
        history.write(batch)
    assert history.events(*FOREVER) == []
    history.add_event(time.time_ns(), {"text": "second"})
    history.write(history.take())
    assert history.events(*FOREVER) == [{"text": "second"}]


def test_the_last_hundred_alarms_are_kept_newest_first(tmp_path: Path) -> None:
    history = HistoryFile(tmp_path / "h", days=30.0)
    for number in range(250):
        history.add_alarm("DOOR", {"number": number})
        if number % 7 == 0:
            history.write(history.take())
    history.write(history.take())
    numbers = [body["number"] for _, body in history.alarms()]
    assert numbers == list(range(249, 249 - ALARMS_MAX, -1))


def test_what_is_too_old_or_too_much_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time_ns()
    monkeypatch.setattr(history_store, "ROWS_MAX", {"samples": 4, "events": 100})
    history = HistoryFile(tmp_path / "h", days=2.0)
    for number in range(10):
        history.add_value("n", now + number, number, 0)
    for days in range(5, -1, -1):
        history.add_event(now - days * DAY_NS, {"days": days})
    history.write(history.take())
    assert [value for _, value, _ in history.values("n", *FOREVER)] == [6, 7, 8, 9]
    assert [body["days"] for body in history.events(*FOREVER)] == [1, 0]


def test_days_of_nothing_new_leave_nothing(tmp_path: Path) -> None:
    history = HistoryFile(tmp_path / "h", days=1.0)
    history.add_event(time.time_ns() - 3 * DAY_NS, {})
    history.write(history.take())
    assert history.events(*FOREVER) == []
