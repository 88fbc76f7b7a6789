"""History of chosen values and of events, read by clients (OPC UA part 11)."""

import asyncio
import datetime
import secrets
from collections.abc import Iterable
from typing import Any, Protocol

from asyncua import ua

from controller.gateway.opcua import limits
from controller.gateway.opcua.browsing import Browsing
from controller.gateway.opcua.events import Event, EventFilter
from controller.gateway.opcua.registry import Registry
from controller.gateway.opcua.sessions import Session

Status = ua.StatusCodes
EPOCH_NS = 0


class HistoryStore(Protocol):
    """Where values and events of the past are kept."""

    def values(
        self, node: str, start_ns: int, end_ns: int, count: int
    ) -> Iterable[tuple[int, Any, int]]:
        """Return (source time, value, status), ascending; descending where end lies before start."""

    def events(self, start_ns: int, end_ns: int, count: int) -> Iterable[Event]:
        """Return the events of a span, ascending; descending where end lies before start."""


class HistoryService:
    """Serves HistoryRead: raw values of historised nodes, and events of the machine and server."""

    def __init__(self, registry: Registry, browsing: Browsing) -> None:
        self._registry = registry
        self._browsing = browsing
        self.store: HistoryStore | None = None
        self.values: dict[ua.NodeId, ua.VariantType] = {}
        self.notifiers: set[ua.NodeId] = set()

    async def read(self, session: Session, sent: Any) -> list[ua.HistoryReadResult]:
        """Read the history of each node by itself."""
        details = sent.HistoryReadDetails
        if isinstance(details, ua.ExtensionObject):
            raise ua.UaStatusCodeError(Status.BadHistoryOperationInvalid)
        results = []
        for item in sent.NodesToRead:
            result = ua.HistoryReadResult()
            try:
                await self._read(session, details, item, sent, result)
            except ua.UaStatusCodeError as error:
                result.StatusCode = ua.StatusCode(error.code)
            results.append(result)
        return results

    async def _read(
        self, session: Session, details: Any, item: Any, sent: Any, result: ua.HistoryReadResult
    ) -> None:
        if item.NodeId not in self._browsing.space:
            raise ua.UaStatusCodeError(Status.BadNodeIdUnknown)
        if item.NodeId not in self.values and item.NodeId not in self.notifiers:
            raise ua.UaStatusCodeError(Status.BadHistoryOperationUnsupported)
        readers = self._registry.readers.get(item.NodeId)
        if readers is not None and not (session.user and readers & session.user.roles):
            raise ua.UaStatusCodeError(Status.BadUserAccessDenied)
        if sent.ReleaseContinuationPoints:
            session.continuation_points.pop(item.ContinuationPoint or b"", None)
            return
        span = self._span(session, details, item)
        if isinstance(details, ua.ReadRawModifiedDetails) and item.NodeId in self.values:
            await self._read_raw(session, details, item, span, result)
        elif isinstance(details, ua.ReadEventDetails) and item.NodeId in self.notifiers:
            await self._read_events(session, details, span, result)
        else:
            raise ua.UaStatusCodeError(Status.BadHistoryOperationUnsupported)

    def _span(self, session: Session, details: Any, item: Any) -> tuple[int, int, int]:
        """Return (start, end, skip): skip counts what was delivered at exactly the start time."""
        if item.ContinuationPoint:
            kept = session.continuation_points.pop(item.ContinuationPoint, None)
            if not isinstance(kept, _Span):
                raise ua.UaStatusCodeError(Status.BadContinuationPointInvalid)
            return kept.span
        start: Any = getattr(details, "StartTime", None)
        end: Any = getattr(details, "EndTime", None)
        count = int(getattr(details, "NumValuesPerNode", 0))
        given = [_is_given(start), _is_given(end), count > 0]
        if sum(given) < 2:
            raise ua.UaStatusCodeError(Status.BadHistoryOperationInvalid)
        start_ns = _to_ns(start) if given[0] else -1
        end_ns = _to_ns(end) if given[1] else -1
        if not given[0]:  # the newest values up to the end, backwards
            return end_ns, EPOCH_NS, 0
        return start_ns, end_ns if given[1] else 1 << 62, 0

    async def _read_raw(
        self, session: Session, details: Any, item: Any, span: tuple[int, int, int], result: Any
    ) -> None:
        if details.IsReadModified:
            raise ua.UaStatusCodeError(Status.BadHistoryOperationUnsupported)
        count = min(
            int(details.NumValuesPerNode) or limits.HISTORY_VALUES_MAX, limits.HISTORY_VALUES_MAX
        )
        start_ns, end_ns, skip = span
        name = str(item.NodeId.Identifier)
        rows = await asyncio.to_thread(self._fetch, name, start_ns, end_ns, count + skip + 1)
        rows = rows[skip:]
        page = rows[:count]
        if len(rows) > count:
            result.ContinuationPoint = _keep(session, [row[0] for row in page], end_ns, span)
        data = ua.HistoryData()
        kind = self.values[item.NodeId]
        data.DataValues = [_data_value(row, kind) for row in page]
        result.HistoryData = data
        if not page:
            result.StatusCode = ua.StatusCode(Status.GoodNoData)

    def _fetch(self, name: str, start_ns: int, end_ns: int, count: int) -> list[Any]:
        return list(self.store.values(name, start_ns, end_ns, count)) if self.store else []

    async def _read_events(
        self, session: Session, details: Any, span: tuple[int, int, int], result: Any
    ) -> None:
        filter_ = EventFilter(details.Filter, self._browsing.is_subtype)
        count = min(
            int(details.NumValuesPerNode) or limits.HISTORY_VALUES_MAX, limits.HISTORY_VALUES_MAX
        )
        start_ns, end_ns, skip = span
        found = await asyncio.to_thread(self._fetch_events, start_ns, end_ns, count + skip + 1)
        found = found[skip:]
        page = found[:count]
        if len(found) > count:
            times = [_to_ns(event.fields[("Time",)].Value) for event in page]
            result.ContinuationPoint = _keep(session, times, end_ns, span)
        history = ua.HistoryEvent()
        for event in page:
            if filter_.matches(event):
                history.Events.append(ua.HistoryEventFieldList(EventFields=filter_.select(event)))
        result.HistoryData = history

    def _fetch_events(self, start_ns: int, end_ns: int, count: int) -> list[Event]:
        return list(self.store.events(start_ns, end_ns, count)) if self.store else []


class _Span:
    """Where a continued read goes on."""

    def __init__(self, start_ns: int, end_ns: int, skip: int) -> None:
        self.span = (start_ns, end_ns, skip)


def _keep(session: Session, times_ns: list[int], end_ns: int, span: tuple[int, int, int]) -> bytes:
    if len(session.continuation_points) >= limits.CONTINUATION_POINTS_MAX:
        raise ua.UaStatusCodeError(Status.BadNoContinuationPoints)
    last = times_ns[-1]
    skip = times_ns.count(last) + (span[2] if span[0] == last else 0)
    point = secrets.token_bytes(16)
    session.continuation_points[point] = _Span(last, end_ns, skip)
    return point


def _data_value(row: tuple[int, Any, int], kind: ua.VariantType) -> ua.DataValue:
    time_ns, value, status = row
    variant = ua.Variant() if value is None else ua.Variant(value, kind)
    time_ = from_ns(time_ns)
    return ua.DataValue(variant, ua.StatusCode(status), time_, time_)


def _is_given(time_: Any) -> bool:
    return isinstance(time_, datetime.datetime) and time_.year > 1601


def _to_ns(time_: datetime.datetime) -> int:
    if time_.tzinfo is None:
        time_ = time_.replace(tzinfo=datetime.UTC)
    return (time_ - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)) // _MICROSECOND * 1000


def from_ns(time_ns: int) -> datetime.datetime:
    """Return the UTC time of nanoseconds since 1970."""
    seconds, rest = divmod(time_ns, 1_000_000_000)
    start = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return start + datetime.timedelta(microseconds=rest // 1000)


_MICROSECOND = datetime.timedelta(microseconds=1)
