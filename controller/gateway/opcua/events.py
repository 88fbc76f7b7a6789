"""Events and event filters (OPC UA part 4, 7.22.3): what is told, to whom, and which fields of it."""

import datetime
import operator
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from asyncua import ua

from controller.gateway.opcua import limits

Path = tuple[str, ...]


@dataclass
class Event:
    """One event: its type, the objects it is heard at, and its fields by path of names."""

    type_id: ua.NodeId
    notifiers: frozenset[ua.NodeId]
    fields: dict[Path, ua.Variant]
    condition_id: ua.NodeId | None = None
    audit: bool = False  # told to security administrators only
    event_id: bytes = field(default_factory=lambda: uuid.uuid4().bytes)

    def value(self, path: Path, attribute: int) -> ua.Variant:
        """Return a field's value, Null where the event has none."""
        if not path:
            is_id = attribute == ua.AttributeIds.NodeId and self.condition_id is not None
            return ua.Variant(self.condition_id, ua.VariantType.NodeId) if is_id else ua.Variant()
        if attribute != ua.AttributeIds.Value:
            return ua.Variant()
        return self.fields.get(path, _NULL)


_NULL = ua.Variant()


def make_event(
    type_id: ua.NodeId,
    notifiers: Iterable[ua.NodeId],
    source: ua.NodeId,
    source_name: str,
    message: str,
    severity: int,
    time: datetime.datetime,
    extra: Mapping[Any, ua.Variant] | None = None,
    condition_id: ua.NodeId | None = None,
) -> Event:
    """Return an event with BaseEventType's fields and `extra`."""
    event = Event(type_id, frozenset(notifiers), dict(extra or {}), condition_id)
    event.fields |= {
        ("EventId",): ua.Variant(event.event_id, ua.VariantType.ByteString),
        ("EventType",): ua.Variant(type_id, ua.VariantType.NodeId),
        ("SourceNode",): ua.Variant(source, ua.VariantType.NodeId),
        ("SourceName",): ua.Variant(source_name, ua.VariantType.String),
        ("Time",): ua.Variant(time, ua.VariantType.DateTime),
        ("ReceiveTime",): ua.Variant(time, ua.VariantType.DateTime),
        ("Message",): ua.Variant(ua.LocalizedText(message), ua.VariantType.LocalizedText),
        ("Severity",): ua.Variant(severity, ua.VariantType.UInt16),
    }
    return event


class EventFilter:
    """A client's choice of fields and events; what we cannot evaluate is refused when it is made."""

    def __init__(self, sent: Any, is_subtype: Callable[[ua.NodeId, ua.NodeId], bool]) -> None:
        if not isinstance(sent, ua.EventFilter):
            raise ua.UaStatusCodeError(ua.StatusCodes.BadMonitoredItemFilterInvalid)
        clauses = sent.SelectClauses or []
        self._elements = (sent.WhereClause.Elements if sent.WhereClause else None) or []
        self._is_subtype = is_subtype
        if not 1 <= len(clauses) <= limits.SELECT_CLAUSES_MAX:
            raise ua.UaStatusCodeError(ua.StatusCodes.BadEventFilterInvalid)
        if len(self._elements) > limits.FILTER_ELEMENTS_MAX:
            raise ua.UaStatusCodeError(ua.StatusCodes.BadEventFilterInvalid)
        self._selected = [(_path(clause), int(clause.AttributeId)) for clause in clauses]
        for index, element in enumerate(self._elements):
            _check_element(index, element, len(self._elements))

    def matches(self, event: Event) -> bool:
        """Tell whether the where clause lets an event pass; a comparison with Null never does."""
        return not self._elements or self._evaluate(0, event) is True

    def select(self, event: Event) -> list[ua.Variant]:
        """Return the selected fields."""
        return [event.value(path, attribute) for path, attribute in self._selected]

    def _evaluate(self, index: int, event: Event) -> Any:
        element = self._elements[index]
        values = [self._operand(each, event) for each in element.FilterOperands]
        return _OPERATORS[element.FilterOperator](self, event, values)

    def _operand(self, operand: Any, event: Event) -> Any:
        if isinstance(operand, ua.ElementOperand):
            return self._evaluate(operand.Index, event)
        if isinstance(operand, ua.LiteralOperand):
            return operand.Value.Value
        return event.value(_path(operand), int(operand.AttributeId)).Value

    def of_type(self, event: Event, wanted: Any) -> bool:
        """Tell whether an event is of a type or one derived from it."""
        return isinstance(wanted, ua.NodeId) and self._is_subtype(event.type_id, wanted)


def _compare(relation: Callable[[Any, Any], bool]) -> Callable[..., bool | None]:
    def evaluate(filter_: EventFilter, event: Event, values: list[Any]) -> bool | None:
        try:
            return None if None in values[:2] else bool(relation(values[0], values[1]))
        except TypeError:
            return None

    return evaluate


def _and(filter_: EventFilter, event: Event, values: list[Any]) -> bool | None:
    return False if False in values else (None if None in values else True)


def _or(filter_: EventFilter, event: Event, values: list[Any]) -> bool | None:
    return True if True in values else (None if None in values else False)


_OPERATORS: dict[ua.FilterOperator, Callable[..., Any]] = {
    ua.FilterOperator.Equals: _compare(operator.eq),
    ua.FilterOperator.GreaterThan: _compare(operator.gt),
    ua.FilterOperator.LessThan: _compare(operator.lt),
    ua.FilterOperator.GreaterThanOrEqual: _compare(operator.ge),
    ua.FilterOperator.LessThanOrEqual: _compare(operator.le),
    ua.FilterOperator.IsNull: lambda f, e, v: v[0] is None,
    ua.FilterOperator.Not: lambda f, e, v: None if v[0] is None else not v[0],
    ua.FilterOperator.InList: lambda f, e, v: v[0] in v[1:],
    ua.FilterOperator.And: _and,
    ua.FilterOperator.Or: _or,
    ua.FilterOperator.OfType: lambda f, e, v: f.of_type(e, v[0]),
}
_OPERANDS = {
    ua.FilterOperator.IsNull: 1,
    ua.FilterOperator.Not: 1,
    ua.FilterOperator.OfType: 1,
}


def _path(operand: Any) -> Path:
    return tuple(each.Name for each in operand.BrowsePath or [])


def _check_element(index: int, element: Any, count: int) -> None:
    if element.FilterOperator not in _OPERATORS:
        raise ua.UaStatusCodeError(ua.StatusCodes.BadFilterOperatorUnsupported)
    operands = element.FilterOperands or []
    if not _OPERANDS.get(element.FilterOperator, 2) <= len(operands) <= limits.FILTER_OPERANDS_MAX:
        raise ua.UaStatusCodeError(ua.StatusCodes.BadFilterOperandCountMismatch)
    for operand in operands:
        if isinstance(operand, ua.ElementOperand):
            # Elements refer only to later ones (part 4, 7.7.1): so no evaluation goes in circles.
            if not index < operand.Index < count:
                raise ua.UaStatusCodeError(ua.StatusCodes.BadFilterOperandInvalid)
        elif not isinstance(operand, ua.LiteralOperand | ua.SimpleAttributeOperand):
            raise ua.UaStatusCodeError(ua.StatusCodes.BadFilterOperandInvalid)
