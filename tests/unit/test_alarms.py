"""The alarm, condition and interlock tables: complete, consistent and in words."""

import pytest

from controller.shared.alarms import ALARMS, AlarmClass, AlarmId, Reaction, ResetRule
from controller.shared.conditions import INTERLOCKS, ConditionId

RAISED = [alarm for alarm in AlarmId if alarm != AlarmId.NONE]


def test_every_alarm_has_its_row_and_every_row_its_alarm() -> None:
    assert set(ALARMS) == set(AlarmId)
    assert [alarm.value for alarm in AlarmId] == list(range(len(AlarmId)))


def test_codes_are_unique() -> None:
    codes = [row.code for row in ALARMS.values()]
    assert len(set(codes)) == len(codes)


def test_an_alarm_fits_the_byte_that_a_record_counts_it_in() -> None:
    assert len(AlarmId) <= 255


@pytest.mark.parametrize("alarm", RAISED)
def test_an_alarm_says_what_why_and_what_to_do(alarm: AlarmId) -> None:
    row = ALARMS[alarm]
    assert 1000 <= row.code <= 9999
    for words in (row.text, row.cause, row.remedy):
        assert words
        assert words == words.strip()
        assert not words.endswith(".")
    assert row.text[0].islower()


@pytest.mark.parametrize("alarm", RAISED)
def test_what_stops_the_machine_waits_for_a_person(alarm: AlarmId) -> None:
    row = ALARMS[alarm]
    if row.reaction >= Reaction.HOLD:
        assert row.reset == ResetRule.ON_COMMAND
        assert row.alarm_class >= AlarmClass.PROCESS
    if row.alarm_class == AlarmClass.SAFETY:
        assert row.reaction == Reaction.ABORT


@pytest.mark.parametrize("alarm", RAISED)
def test_a_remedy_names_the_command_that_leads_back(alarm: AlarmId) -> None:
    row = ALARMS[alarm]
    way_back = {
        Reaction.HOLD: ("Unhold", "Stop"),
        Reaction.STOP: ("Reset",),
        Reaction.ABORT: ("Clear", "restart"),
    }
    words = way_back.get(row.reaction)
    assert words is None or any(word in row.remedy for word in words)


def test_conditions_are_dense() -> None:
    assert [condition.value for condition in ConditionId] == list(range(len(ConditionId)))
    assert len(ConditionId) <= 64, "start inhibits are the bits of one word"


def test_an_interlock_watches_one_condition_and_says_what_to_do() -> None:
    conditions = [row.condition for row in INTERLOCKS]
    assert len(set(conditions)) == len(conditions)
    assert ConditionId.ALWAYS not in conditions
    for row in INTERLOCKS:
        assert row.cause
        assert row.remedy
        assert row.alarm in AlarmId
        assert row.inhibits_start or row.alarm != AlarmId.NONE, "a row must do something"


def test_whatever_raises_a_safety_alarm_inhibits_a_start() -> None:
    inhibiting = {row.alarm for row in INTERLOCKS if row.inhibits_start}
    safety = {alarm for alarm in RAISED if ALARMS[alarm].alarm_class == AlarmClass.SAFETY}
    assert safety <= inhibiting
