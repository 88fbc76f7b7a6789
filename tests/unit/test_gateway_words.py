"""Events become words, records become data, and event filters let through what they say."""

import datetime
import json
from typing import Any

import numpy as np
import pytest
import structlog
from asyncua import ua

from controller.gateway.log import CLEAR_LINE, _for_people, words_of
from controller.gateway.opcua.attributes import accepts, cut
from controller.gateway.opcua.events import EventFilter, make_event
from controller.gateway.opcua.model.model import METRE, NEWTON_METRE
from controller.gateway.opcua.monitored import revise_sampling_ms
from controller.gateway.opcua.samples import Sample, encode
from controller.gateway.records.jobs import TRANSITIONS, JobCommand, JobState
from controller.shared.alarms import ALARMS, AlarmId
from controller.shared.commands import CommandCode, CommandResult
from controller.shared.events import EVENT_DTYPE, EventKind
from controller.shared.packml import State
from drivers.image import AxisId

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def event(kind: EventKind, code: int, value: float = 0.0, index: int = -1) -> Any:
    record = np.zeros((), EVENT_DTYPE)
    record["kind"], record["code"], record["value"], record["index"] = kind, code, value, index
    return record


@pytest.mark.parametrize("kind", list(EventKind))
def test_every_kind_of_event_has_words(kind: EventKind) -> None:
    words = words_of(event(kind, 1, 1.0))
    assert words["event"] == kind.name.lower().replace("_", " ")
    assert words["level"] in ("info", "warning", "error")
    json.dumps(words)


def test_an_alarm_says_what_is_wrong_why_and_what_to_do() -> None:
    words = words_of(event(EventKind.ALARM_RAISED, AlarmId.FOLLOWING_ERROR, index=AxisId.TABLE_X))
    row = ALARMS[AlarmId.FOLLOWING_ERROR]
    assert (words["alarm"], words["cause"], words["remedy"]) == (row.text, row.cause, row.remedy)
    assert (words["axis"], words["level"], words["reaction"]) == ("TABLE_X", "error", "abort")
    gone = words_of(event(EventKind.ALARM_CLEARED, AlarmId.FOLLOWING_ERROR))
    assert "remedy" not in gone


def test_states_and_commands_are_named() -> None:
    changed = words_of(event(EventKind.STATE_CHANGED, State.HELD, State.HOLDING))
    assert (changed["state"], changed["was"]) == ("HELD", "HOLDING")
    told = words_of(event(EventKind.COMMAND, CommandCode.HOLD, CommandResult.REFUSED_STATE))
    assert (told["command"], told["result"]) == ("HOLD", "refused_state")


def test_a_person_at_the_terminal_reads_words_and_no_json() -> None:
    noon = datetime.datetime(2026, 1, 1, 12).astimezone()
    words = words_of(event(EventKind.STATE_CHANGED, State.HELD, State.HOLDING))
    line = _for_people(None, "info", words | {"timestamp": noon.isoformat()})
    assert line == f"{CLEAR_LINE}12:00:00 state changed: station 1, state HELD, was HOLDING"
    serves = {"event": "gateway serves", "level": "info", "timestamp": noon.isoformat()}
    assert _for_people(None, "info", serves) == f"{CLEAR_LINE}12:00:00 gateway serves"
    with pytest.raises(structlog.DropEvent):
        _for_people(None, "warning", words_of(event(EventKind.OVERRUN, 0, 3.0)))


def operand(*names: str) -> Any:
    result = ua.SimpleAttributeOperand()
    result.BrowsePath = [ua.QualifiedName(name, 0) for name in names]
    result.AttributeId = ua.AttributeIds.Value
    return result


def literal(value: Any) -> Any:
    return ua.LiteralOperand(Value=ua.Variant(value))


def sent_filter(*elements: tuple[Any, list[Any]]) -> Any:
    result = ua.EventFilter()
    result.SelectClauses = [operand("Message"), operand("Nothing")]
    for operator, operands in elements:
        element = ua.ContentFilterElement()
        element.FilterOperator, element.FilterOperands = operator, operands
        result.WhereClause.Elements.append(element)
    return result


def is_subtype(kind: ua.NodeId, base: ua.NodeId) -> bool:
    return base in (kind, ua.NodeId(ua.ObjectIds.BaseEventType))


TOLD = make_event(
    ua.NodeId(ua.ObjectIds.SystemEventType), (), ua.NodeId(1), "here", "words", 300, NOW
)
Op = ua.FilterOperator


@pytest.mark.parametrize(
    ("elements", "passes"),
    [
        ([], True),
        ([(Op.Equals, [operand("Severity"), literal(300)])], True),
        ([(Op.GreaterThan, [operand("Severity"), literal(300)])], False),
        ([(Op.GreaterThanOrEqual, [operand("Severity"), literal(300)])], True),
        ([(Op.Equals, [operand("Nothing"), literal(300)])], False),
        ([(Op.IsNull, [operand("Nothing")])], True),
        ([(Op.LessThan, [operand("SourceName"), literal(3)])], False),
        ([(Op.OfType, [literal(ua.NodeId(ua.ObjectIds.BaseEventType))])], True),
        ([(Op.OfType, [literal(ua.NodeId(ua.ObjectIds.AuditEventType))])], False),
        ([(Op.InList, [operand("Severity"), literal(1), literal(300)])], True),
        (
            [
                (Op.And, [ua.ElementOperand(1), ua.ElementOperand(2)]),
                (Op.Equals, [operand("Severity"), literal(300)]),
                (Op.Not, [ua.ElementOperand(3)]),
                (Op.Equals, [operand("SourceName"), literal("there")]),
            ],
            True,
        ),
    ],
)
def test_a_where_clause_lets_through_what_it_says(elements: Any, passes: bool) -> None:
    assert EventFilter(sent_filter(*elements), is_subtype).matches(TOLD) is passes


@pytest.mark.parametrize(
    ("element", "status"),
    [
        ((Op.Between, [literal(1)] * 3), "BadFilterOperatorUnsupported"),
        ((Op.Equals, [literal(1)]), "BadFilterOperandCountMismatch"),
        ((Op.Not, [ua.ElementOperand(0)]), "BadFilterOperandInvalid"),
        ((Op.Not, [ua.ElementOperand(9)]), "BadFilterOperandInvalid"),
        ((Op.Not, [ua.AttributeOperand()]), "BadFilterOperandInvalid"),
    ],
)
def test_a_clause_that_cannot_be_evaluated_is_refused_at_once(element: Any, status: str) -> None:
    with pytest.raises(ua.UaStatusCodeError) as refused:
        EventFilter(sent_filter(element), is_subtype)
    assert ua.StatusCode(refused.value.code).name == status


def test_selected_fields_come_in_order_and_null_where_there_is_none() -> None:
    selected = EventFilter(sent_filter(), is_subtype).select(TOLD)
    assert selected[0].Value.Text == "words"
    assert selected[1].VariantType == ua.VariantType.Null


def test_a_sample_is_encoded_as_asyncua_would_and_once() -> None:
    value = ua.DataValue(ua.Variant(1.5), ua.StatusCode(), NOW, NOW)
    sample = Sample(value)
    both = sample.binary(ua.TimestampsToReturn.Both)
    assert sample.binary(ua.TimestampsToReturn.Both) is both
    decoded = ua.ua_binary.struct_from_binary(ua.DataValue, ua.utils.Buffer(both))
    assert (decoded.Value.Value, decoded.SourceTimestamp) == (1.5, NOW)
    neither = encode(value, ua.TimestampsToReturn.Neither, 0)
    assert len(neither) == 1 + 1 + 8
    overflow = ua.ua_binary.struct_from_binary(
        ua.DataValue, ua.utils.Buffer(sample.binary(ua.TimestampsToReturn.Neither, True))
    )
    assert overflow.StatusCode.value == 0x480


def test_ranges_arguments_intervals_and_units() -> None:
    array = ua.Variant([1, 2, 3, 4], ua.VariantType.Int32)
    assert cut(array, "1:2").Value == [2, 3]
    for text, status in (("2:1", "Invalid"), ("x", "Invalid"), ("9", "NoData"), ("", "Invalid")):
        with pytest.raises(ua.UaStatusCodeError) as refused:
            cut(array, text)
        assert ua.StatusCode(refused.value.code).name == f"BadIndexRange{status}"
    number = ua.Argument(DataType=ua.NodeId(ua.ObjectIds.Int32), ValueRank=-1)
    assert accepts(number, ua.Variant(1, ua.VariantType.Int32))
    assert not accepts(number, ua.Variant(1.0))
    assert not accepts(number, array)
    assert [revise_sampling_ms(asked, 200.0) for asked in (-1.0, 0.0, 50.0)] == [200.0, 0.0, 50.0]
    assert METRE.information.UnitId == 5067858  # UNECE "MTR"
    assert NEWTON_METRE.information.UnitId == 20053  # "NU"


def test_the_table_of_jobs_leaves_no_way_back_from_the_end() -> None:
    ends = (JobState.ENDED, JobState.ABORTED)
    for state in JobState:
        allowed = {command for (each, command) in TRANSITIONS if each == state}
        assert allowed, state
        assert (allowed == {JobCommand.CLEAR}) == (state in ends)
    assert all((state, JobCommand.ABORT) in TRANSITIONS for state in JobState if state not in ends)
