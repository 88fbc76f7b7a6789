"""What of the model has a history: a few values, and the machine's events."""

import asyncio
import datetime
import sqlite3
from collections.abc import Iterable
from typing import Any

import structlog
from asyncua import ua

from controller.gateway.opcua.events import Event
from controller.gateway.opcua.model.model import Kind, Model
from controller.gateway.records.history_store import HistoryFile
from controller.gateway.snapshot import Snapshot

log = structlog.get_logger("history")
_KINDS = {
    Kind.NodeId: ua.NodeId.from_string,
    Kind.LocalizedText: ua.LocalizedText,
    Kind.DateTime: datetime.datetime.fromisoformat,
    Kind.ByteString: bytes.fromhex,
    Kind.StatusCode: ua.StatusCode,
}


class Historian:
    """Keeps the history of chosen values and of the alarms' events."""

    def __init__(self, model: Model, file: HistoryFile) -> None:
        self.model = model
        self.file = file
        self._seen: dict[ua.NodeId, Any] = {}
        self._writing = asyncio.Lock()
        self._flushing: asyncio.Task[None] | None = None
        service = model.server.history
        service.store = self
        for path, kind in self._chosen():
            node = model.id(*path)
            service.values[node] = kind
            self._mark(node)
        for notifier in (model.machine, ua.NodeId(ua.ObjectIds.Server)):
            service.notifiers.add(notifier)
            flags = ua.EventNotifier.SubscribeToEvents.mask | ua.EventNotifier.HistoryRead.mask
            attribute = ua.AttributeIds.EventNotifier
            model.space.set_attribute(notifier, attribute, Kind.Byte, flags)
        model.on_snapshot.append(self.update)

    def _chosen(self) -> Iterable[tuple[tuple[str, ...], Kind]]:
        yield ("PackML", "Status", "StateNumber"), Kind.Int32
        yield ("PackML", "Status", "UnitModeCurrent"), Kind.Int32
        yield ("PackML", "Status", "CurMachSpeed"), Kind.Float
        for station in self.model.settings.stations:
            yield ("Stations", station.name, "Web", "Tension"), Kind.Double
            yield ("Stations", station.name, "CellInWork", "SecondsPerSheet"), Kind.Double
            yield ("Stations", station.name, "CellInWork", "Cell"), Kind.Int64

    def _mark(self, node: ua.NodeId) -> None:
        space = self.model.space
        level = ua.AccessLevel.CurrentRead.mask | ua.AccessLevel.HistoryRead.mask
        space.set_attribute(node, ua.AttributeIds.AccessLevel, Kind.Byte, level)
        space.set_attribute(node, ua.AttributeIds.Historizing, Kind.Boolean, True)

    def update(self, snapshot: Snapshot) -> None:
        """Take what changed, and write it beside the event loop."""
        for node in self.model.server.history.values:
            value = self.model.space.value(node).value
            if value is not self._seen.get(node):
                self._seen[node] = value
                at = int(value.SourceTimestamp.timestamp() * 1e6) * 1000
                self.file.add_value(
                    str(node.Identifier), at, value.Value.Value, value.StatusCode.value
                )
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.ensure_future(self.flush())

    async def flush(self) -> None:
        """Write what was taken so far, beside the event loop; return when it is on the disk."""
        async with self._writing:
            try:
                await asyncio.to_thread(self.file.write, self.file.take())
            except sqlite3.Error:
                log.exception("history was not written")

    def keep(self, event: Event) -> None:
        """Take an event."""
        at = int(event.fields["Time",].Value.timestamp() * 1e6) * 1000
        body = {"/".join(path): _frozen(value) for path, value in event.fields.items()}
        condition = event.condition_id.to_string() if event.condition_id else None
        self.file.add_event(
            at, {"type": event.type_id.to_string(), "fields": body, "id": condition}
        )

    # -- HistoryStore ---------------------------------------------------------------------------

    def values(
        self, node: str, start_ns: int, end_ns: int, count: int
    ) -> Iterable[tuple[int, Any, int]]:
        """Return values of a span."""
        return self.file.values(node, start_ns, end_ns, count)

    def events(self, start_ns: int, end_ns: int, count: int) -> Iterable[Event]:
        """Return events of a span."""
        return [_thawed(body) for body in self.file.events(start_ns, end_ns, count)]

    async def close(self) -> None:
        """Write what is left."""
        if self._flushing is not None:
            await self._flushing
        await asyncio.to_thread(self.file.close)


def _frozen(value: ua.Variant) -> list[Any]:
    held = value.Value
    if isinstance(held, ua.NodeId):
        held = held.to_string()
    elif isinstance(held, ua.LocalizedText):
        held = held.Text
    elif isinstance(held, datetime.datetime):
        held = held.isoformat()
    elif isinstance(held, bytes):
        held = held.hex()
    elif isinstance(held, ua.StatusCode):
        held = held.value
    return [value.VariantType.value, held]


def _thawed(body: dict[str, Any]) -> Event:
    fields = {}
    for path, (kind_number, held) in body["fields"].items():
        kind = Kind(kind_number)
        value = _KINDS[kind](held) if kind in _KINDS and held is not None else held
        fields[tuple(path.split("/"))] = ua.Variant(value, kind)
    condition = ua.NodeId.from_string(body["id"]) if body["id"] else None
    return Event(ua.NodeId.from_string(body["type"]), frozenset(), fields, condition)
