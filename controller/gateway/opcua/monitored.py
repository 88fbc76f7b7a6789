"""Monitored items (OPC UA part 4, 5.13): what a client wants to be told, sampled, filtered, queued."""

from collections import deque
from typing import Any, Protocol

from asyncua import ua
from asyncua.server.address_space import AttributeValue
from asyncua.ua.uaprotocol_auto import DataChangeFilter  # the class asyncua decodes to

from controller.gateway.opcua import limits
from controller.gateway.opcua.events import Event, EventFilter
from controller.gateway.opcua.samples import Sample

Trigger = ua.DataChangeTrigger
Mode = ua.MonitoringMode


def revise_sampling_ms(asked_ms: float, publishing_ms: float) -> float:
    """Return the sampling interval we keep.

    Negative asks for the publishing interval; 0 is every change, which the gateway has coalesced.
    """
    if asked_ms < 0 or asked_ms != asked_ms:
        return publishing_ms
    return min(asked_ms, limits.PUBLISHING_INTERVAL_MS_MAX)


class Owner(Protocol):
    """The subscription of an item, as the item sees it."""

    def mark_ready(self, item: Any) -> None:
        """Something was queued."""

    def mark_held(self, item: Any) -> None:
        """Something waits for its sampling interval to be over."""


class DataItem:
    """One attribute watched for one client."""

    __slots__ = (
        "attribute", "client_handle", "deadband", "discard_oldest", "due_s", "held", "item_id",
        "last", "mode", "node_id", "overflow", "owner", "queue", "queue_size", "sampling_s",
        "timestamps", "trigger", "watched",
    )  # fmt: skip
    is_event = False

    def __init__(self, item_id: int, request: Any, watched: AttributeValue, owner: Owner) -> None:
        self.item_id = item_id
        self.node_id = request.ItemToMonitor.NodeId
        self.attribute = request.ItemToMonitor.AttributeId
        self.watched = watched
        self.owner = owner
        self.mode = Mode.Disabled
        self.last: ua.DataValue | None = None
        self.held: Sample | None = None
        self.due_s = 0.0
        self.overflow = False
        self.queue: deque[Sample] = deque()

    def set_parameters(
        self, parameters: Any, timestamps: Any, sampling_ms: float, eu_range: Any = None
    ) -> None:
        """Take over a client's parameters; raises for a filter we cannot apply.

        `eu_range` is the node's ua.Range, what a deadband in percent is a part of.
        """
        self.trigger, self.deadband = _data_filter(parameters.Filter, self.watched, eu_range)
        self.timestamps = timestamps
        self.client_handle = parameters.ClientHandle
        self.sampling_s = sampling_ms / 1000.0
        self.queue_size = min(max(int(parameters.QueueSize), 1), limits.QUEUE_SIZE_MAX)
        self.discard_oldest = bool(parameters.DiscardOldest)
        while len(self.queue) > self.queue_size:
            self.queue.popleft()

    async def __call__(self, handle: int, value: ua.DataValue, error: Any = None) -> None:
        """Take a value that asyncua's own code wrote (the server's clock, for one)."""
        self.take(Sample(value), 0.0)

    def take(self, sample: Sample, now_s: float) -> None:
        """Take a changed value: queue it, or hold it until the sampling interval is over."""
        if self.mode == Mode.Disabled:
            return
        if now_s < self.due_s:
            self.held = sample
            self.owner.mark_held(self)
            return
        self.due_s = now_s + 0.95 * self.sampling_s
        self.held = None
        if self._passes(sample.value):
            self.last = sample.value
            self._enqueue(sample)

    def release_held(self, now_s: float) -> bool:
        """Queue a held value whose time has come; tell whether one is still held."""
        if self.held is not None and now_s >= self.due_s:
            self.take(self.held, now_s)
        return self.held is not None

    def _passes(self, value: ua.DataValue) -> bool:
        last = self.last
        if last is None or last.StatusCode != value.StatusCode:
            return True
        if self.trigger == Trigger.Status:
            return False
        timed = self.trigger == Trigger.StatusValueTimestamp
        if timed and last.SourceTimestamp != value.SourceTimestamp:
            return True
        if self.deadband > 0.0:
            return _exceeds(last.Value.Value, value.Value.Value, self.deadband)
        return last.Value != value.Value

    def _enqueue(self, sample: Sample) -> None:
        if len(self.queue) >= self.queue_size:
            self.overflow = self.queue_size > 1
            if self.discard_oldest:
                self.queue.popleft()
            else:
                self.queue.pop()
        self.queue.append(sample)
        self.owner.mark_ready(self)

    def drain(self, room: int) -> list[tuple[int, bytes]]:
        """Take up to `room` notifications; the overflow bit goes where values are missing."""
        taken: list[tuple[int, bytes]] = []
        while self.queue and len(taken) < room:
            data = self.queue.popleft().binary(self.timestamps, self.overflow)
            self.overflow = False
            taken.append((self.client_handle, data))
        return taken


class EventItem:
    """One object's events watched for one client."""

    is_event = True

    def __init__(self, item_id: int, request: Any, hears_audit: bool, owner: Owner) -> None:
        self.item_id = item_id
        self.node_id = request.ItemToMonitor.NodeId
        self.attribute = request.ItemToMonitor.AttributeId
        self.hears_audit = hears_audit
        self.owner = owner
        self.mode = Mode.Disabled
        self.queue: deque[list[ua.Variant]] = deque()

    def set_parameters(self, parameters: Any, filter_: EventFilter) -> None:
        """Take over a client's parameters."""
        self.filter = filter_
        self.client_handle = parameters.ClientHandle
        asked = int(parameters.QueueSize) or limits.EVENT_QUEUE_SIZE_MAX
        self.queue_size = min(max(asked, 1), limits.EVENT_QUEUE_SIZE_MAX)

    def hear(self, event: Event) -> None:
        """Queue an event that passes the filter; the oldest gives way."""
        if self.mode == Mode.Disabled or (event.audit and not self.hears_audit):
            return
        if not self.filter.matches(event):
            return
        if len(self.queue) >= self.queue_size:
            self.queue.popleft()
        self.queue.append(self.filter.select(event))
        self.owner.mark_ready(self)

    def drain(self, room: int) -> list[tuple[int, list[ua.Variant]]]:
        """Take up to `room` notifications."""
        count = min(room, len(self.queue))
        return [(self.client_handle, self.queue.popleft()) for _ in range(count)]


def _data_filter(sent: Any, watched: AttributeValue, eu_range: Any) -> tuple[Any, float]:
    """Return trigger and deadband of a filter, in the value's unit."""
    if sent is None or (isinstance(sent, ua.ExtensionObject) and sent.TypeId.is_null()):
        return Trigger.StatusValue, 0.0
    if not isinstance(sent, DataChangeFilter):
        raise ua.UaStatusCodeError(ua.StatusCodes.BadMonitoredItemFilterUnsupported)
    if sent.DeadbandType == ua.DeadbandType.None_:
        return sent.Trigger, 0.0
    value = watched.value.Value.Value if watched.value else None
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    if not numeric or not sent.DeadbandValue >= 0.0:
        raise ua.UaStatusCodeError(ua.StatusCodes.BadDeadbandFilterInvalid)
    if sent.DeadbandType == ua.DeadbandType.Absolute:
        return sent.Trigger, float(sent.DeadbandValue)
    if sent.DeadbandType != ua.DeadbandType.Percent or eu_range is None:
        raise ua.UaStatusCodeError(ua.StatusCodes.BadMonitoredItemFilterUnsupported)
    if sent.DeadbandValue > 100.0:
        raise ua.UaStatusCodeError(ua.StatusCodes.BadDeadbandFilterInvalid)
    return sent.Trigger, sent.DeadbandValue / 100.0 * (eu_range.High - eu_range.Low)


def _exceeds(old: Any, new: Any, deadband: float) -> bool:
    try:
        return not abs(new - old) <= deadband
    except TypeError:
        return bool(old != new)
