"""Fault scenarios: found by name or file, and refused in words."""

from pathlib import Path

import pytest

from controller.settings.document import SettingsError
from controller.settings.faults import load_faults, load_scenarios

SHIPPED = Path(__file__).resolve().parents[2] / "config" / "faults.yaml"


def test_a_shipped_scenario_is_found_by_its_name() -> None:
    (fault,) = load_faults("vision_late", SHIPPED)
    assert (fault.kind, fault.at_sheet, fault.magnitude) == ("camera_late", 3, 0.5)


def test_a_file_brings_all_its_scenarios(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("scenarios: {a: [{kind: splice, at_s: 5}], b: [{kind: door_open, at_s: 9}]}\n")
    assert [fault.kind for fault in load_faults(str(mine), SHIPPED)] == ["splice", "door_open"]


def test_a_name_that_nobody_knows_is_refused_with_a_guess() -> None:
    with pytest.raises(SettingsError, match="did you mean double_sheet"):
        load_faults("doubel_sheet", SHIPPED)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("scenarios: {a: [{kind: splice, at_s: -1}]}", "at_s = -1: below 0"),
        ("scenarios: {a: [{kind: splice, sheet: 3}]}", "sheet"),
        ("scenarios: {a: []}", "a: no fault"),
        ("scenarios: {a: [{at_s: 1}]}", "kind: missing"),
    ],
)
def test_a_wrong_file_is_refused_in_words(tmp_path: Path, text: str, words: str) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(text + "\n")
    with pytest.raises(SettingsError, match=words):
        load_scenarios(wrong)
