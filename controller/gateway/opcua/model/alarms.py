"""Alarms as conditions (OPC UA part 9), one instance an alarm and station, from the controller's table."""

import dataclasses
import datetime
import uuid
from collections import deque
from dataclasses import dataclass
from typing import Any

from asyncua import ua

from controller.gateway.opcua.events import Event, make_event
from controller.gateway.opcua.model.historian import Historian
from controller.gateway.opcua.model.model import Kind, Model
from controller.gateway.opcua.registry import EVERYBODY, OPERATING, Call, Method, Refused
from controller.gateway.opcua.space import HAS_NOTIFIER, Wanted
from controller.gateway.records.history_store import ALARMS_MAX
from controller.gateway.snapshot import Snapshot
from controller.shared.alarms import ALARMS, AlarmClass, AlarmDefinition, AlarmId
from drivers.image import AxisId

SEVERITY_STEP = 200
Status = ua.StatusCodes
Ids = ua.ObjectIds
ALARM_TYPE = ua.NodeId(Ids.DiscreteAlarmType)


@dataclass
class Condition:
    """One alarm at one station: what the machine says, and what people did about it."""

    alarm: AlarmId
    station: int
    name: str
    node: ua.NodeId
    active: bool = False
    acked: bool = True
    confirmed: bool = True
    since: datetime.datetime | None = None
    acked_at: datetime.datetime | None = None
    axis: int = -1
    event_id: bytes = b""
    comment: str = ""
    user: str = ""

    @property
    def row(self) -> AlarmDefinition:
        """The words and rules of the alarm."""
        return ALARMS[self.alarm]

    @property
    def retain(self) -> bool:
        """Whether somebody still has to see it."""
        return self.active or not self.acked or not self.confirmed

    @property
    def body(self) -> dict[str, Any]:
        """What outlives the gateway."""
        return {
            "active": self.active, "acked": self.acked, "confirmed": self.confirmed,
            "since": _text(self.since), "acked_at": _text(self.acked_at), "axis": self.axis,
            "event_id": self.event_id.hex(), "comment": self.comment, "user": self.user,
        }  # fmt: skip

    def restore(self, body: dict[str, Any]) -> None:
        """Become what the body was taken from."""
        self.active, self.acked = body["active"], body["acked"]
        self.confirmed, self.axis = body["confirmed"], body["axis"]
        self.since, self.acked_at = _time(body["since"]), _time(body["acked_at"])
        self.event_id = bytes.fromhex(body["event_id"])
        self.comment, self.user = body["comment"], body["user"]


class Alarms:
    """All conditions of the machine."""

    def __init__(self, model: Model, historian: Historian, admin: ua.NodeId) -> None:
        self.model = model
        self.historian = historian
        self.history: deque[Any] = deque(maxlen=ALARMS_MAX)
        space = model.space
        self.folder = space.add_object(
            model.machine, model.text("Alarms"), "Alarms", notifies=True, reference=HAS_NOTIFIER
        )
        self.notifiers = (ua.NodeId(Ids.Server), model.machine, self.folder)
        self.conditions = [
            self._build(alarm, station)
            for station in range(len(model.settings.stations))
            for alarm in AlarmId
            if alarm != AlarmId.NONE
        ]
        self._by_node = {each.node: each for each in self.conditions}
        self._restore()
        self._refreshes()
        self._packml(admin)
        model.on_snapshot.append(self.update)

    # -- the instances --------------------------------------------------------------------------

    def _build(self, alarm: AlarmId, station: int) -> Condition:
        model, space = self.model, self.model.space
        place = model.settings.stations[station].name
        name = f"{place}.{alarm.name}"
        text = model.text("Alarms", name)
        wanted: Wanted = {"ConfirmedState": {}, "Confirm": {}}
        node = space.instantiate(self.folder, text, name, ALARM_TYPE, wanted)
        condition = Condition(alarm, station, name, node)
        row = ALARMS[alarm]
        now = datetime.datetime.now(datetime.UTC)
        fixed = (
            ("ConditionName", row.text, Kind.String),
            ("ConditionClassId", ua.NodeId(Ids.ProcessConditionClassType), Kind.NodeId),
            ("ConditionClassName", ua.LocalizedText("Process"), Kind.LocalizedText),
            ("BranchId", ua.NodeId(), Kind.NodeId),
            ("EventType", ALARM_TYPE, Kind.NodeId),
            ("SourceNode", model.id("Stations", place), Kind.NodeId),
            ("SourceName", place, Kind.String),
            ("Severity", severity(row), Kind.UInt16),
            ("LastSeverity", severity(row), Kind.UInt16),
            ("LastSeverity.SourceTimestamp", now, Kind.DateTime),
            ("Message", ua.LocalizedText(row.text), Kind.LocalizedText),
            ("EnabledState", ua.LocalizedText("Enabled"), Kind.LocalizedText),
            ("EnabledState.Id", True, Kind.Boolean),
            ("Quality", ua.StatusCode(), Kind.StatusCode),
            ("Quality.SourceTimestamp", now, Kind.DateTime),
            ("SuppressedOrShelved", False, Kind.Boolean),
            ("InputNode", ua.NodeId(), Kind.NodeId),
        )
        for field, value, kind in fixed:
            model.fixed(space.id(f"{text}.{field}"), value, kind)
        text_kind = Kind.String
        for field, value_text in (("Cause", row.cause), ("Remedy", row.remedy)):
            space.add_property(node, f"{text}.{field}", field, ua.Variant(value_text, text_kind))
        for method, handler in (
            ("Acknowledge", self._acknowledge),
            ("Confirm", self._confirm),
            ("AddComment", self._add_comment),
        ):
            own = model.serve_method(node, method, handler, OPERATING)
            shared = _TYPE_METHODS[method]
            registry = model.server.registry
            registry.methods[node, shared] = registry.methods[node, own]
        return condition

    def _restore(self) -> None:
        """What people did before the gateway was restarted still holds, and what came and went."""
        kept = self.historian.file.conditions()
        for condition in self.conditions:
            if condition.name in kept:
                condition.restore(kept[condition.name])
            condition.event_id = self._show(condition)
        by_name = {each.name: each for each in self.conditions}
        for name, body in self.historian.file.alarms():
            if name in by_name:
                then = dataclasses.replace(by_name[name])
                then.restore(body)
                self.history.append(self._packml_alarm(then))

    # -- what the machine says ------------------------------------------------------------------

    def update(self, snapshot: Snapshot) -> None:
        """Follow the machine's alarms."""
        if not snapshot.alive:
            return
        for condition in self.conditions:
            status = snapshot.stations[condition.station]
            if status is None:
                continue
            active = bool(status["alarms"][condition.alarm])
            if active != condition.active:
                self._change(condition, active, status, snapshot)

    def _change(self, condition: Condition, active: bool, status: Any, snapshot: Snapshot) -> None:
        condition.active = active
        if active:
            condition.since = snapshot.time_of(int(status["alarm_since_ns"][condition.alarm]))
            condition.axis = int(status["alarm_axis"][condition.alarm])
            # A notice asks nothing of anybody.
            needs = condition.row.alarm_class != AlarmClass.NOTICE
            condition.acked = condition.confirmed = not needs
            condition.acked_at = None
            condition.comment = condition.user = ""
        elif condition.row.alarm_class == AlarmClass.WARNING:
            condition.confirmed = True
        self.history.appendleft(self._packml_alarm(condition))
        self.historian.file.add_alarm(condition.name, condition.body)
        self._changed(condition)

    def _changed(self, condition: Condition) -> None:
        event = self._event(condition)
        condition.event_id = event.event_id
        self._show(condition)
        self.model.tell(event)
        self.historian.file.set_condition(condition.name, condition.body)
        self.historian.keep(event)

    def _event(self, condition: Condition) -> Event:
        row = condition.row
        axis = f", {AxisId(condition.axis).name}" if condition.axis in list(AxisId) else ""
        message = row.text + axis if condition.active else f"{row.text}: gone"
        now = datetime.datetime.now(datetime.UTC)
        place = self.model.settings.stations[condition.station].name
        return make_event(
            ALARM_TYPE, self.notifiers, self.model.id("Stations", place), place, message,
            severity(row), now, self._fields(condition), condition.node,
        )  # fmt: skip

    def _fields(self, condition: Condition) -> dict[tuple[str, ...], ua.Variant]:
        def words(true: str, false: str, value: bool) -> ua.Variant:
            return ua.Variant(ua.LocalizedText(true if value else false), Kind.LocalizedText)

        row = condition.row
        fields = {
            "ConditionName": ua.Variant(row.text, Kind.String),
            "ConditionClassId": ua.Variant(ua.NodeId(Ids.ProcessConditionClassType), Kind.NodeId),
            "ConditionClassName": ua.Variant(ua.LocalizedText("Process"), Kind.LocalizedText),
            "BranchId": ua.Variant(ua.NodeId(), Kind.NodeId),
            "Retain": ua.Variant(condition.retain, Kind.Boolean),
            "EnabledState": ua.Variant(ua.LocalizedText("Enabled"), Kind.LocalizedText),
            "EnabledState/Id": ua.Variant(True, Kind.Boolean),
            "Quality": ua.Variant(ua.StatusCode(), Kind.StatusCode),
            "LastSeverity": ua.Variant(severity(row), Kind.UInt16),
            "Comment": ua.Variant(ua.LocalizedText(condition.comment), Kind.LocalizedText),
            "ClientUserId": ua.Variant(condition.user, Kind.String),
            "AckedState": words("Acknowledged", "Unacknowledged", condition.acked),
            "AckedState/Id": ua.Variant(condition.acked, Kind.Boolean),
            "ConfirmedState": words("Confirmed", "Unconfirmed", condition.confirmed),
            "ConfirmedState/Id": ua.Variant(condition.confirmed, Kind.Boolean),
            "ActiveState": words("Active", "Inactive", condition.active),
            "ActiveState/Id": ua.Variant(condition.active, Kind.Boolean),
            "SuppressedOrShelved": ua.Variant(False, Kind.Boolean),
            "InputNode": ua.Variant(ua.NodeId(), Kind.NodeId),
            "Cause": ua.Variant(row.cause, Kind.String),
            "Remedy": ua.Variant(row.remedy, Kind.String),
            "Code": ua.Variant(row.code, Kind.Int32),
        }
        return {tuple(name.split("/")): value for name, value in fields.items()}

    def _show(self, condition: Condition) -> bytes:
        """Write a condition's variables; return the id of the event they belong to."""
        event_id = condition.event_id or uuid.uuid4().bytes
        text = str(condition.node.Identifier)
        space = self.model.space
        now = datetime.datetime.now(datetime.UTC)
        shown = {
            name: value for name, value in self._fields(condition).items() if name[0] in _SHOWN
        }
        shown["EventId",] = ua.Variant(event_id, Kind.ByteString)
        since = condition.since or now
        for name in ("Time", "ReceiveTime"):
            shown[name,] = ua.Variant(since, Kind.DateTime)
        for path, value in shown.items():
            node = space.id(".".join((text, *path)))
            space.value(node).value = ua.DataValue(value, ua.StatusCode(), since, now)
        return event_id

    # -- what people do -------------------------------------------------------------------------

    def _of(self, call: Call) -> tuple[Condition, str]:
        event_id, comment = call.arguments
        condition = self._by_node[call.object_id]
        if event_id != condition.event_id:
            raise Refused(Status.BadEventIdUnknown, "that event is not the condition's newest")
        text = (comment.Text or "") if comment is not None else ""
        return condition, text[:256]

    async def _acknowledge(self, call: Call) -> list[ua.Variant]:
        condition, comment = self._of(call)
        if condition.acked:
            raise Refused(Status.BadConditionBranchAlreadyAcked)
        condition.acked = True
        condition.acked_at = datetime.datetime.now(datetime.UTC)
        return await self._done(call, condition, comment)

    async def _confirm(self, call: Call) -> list[ua.Variant]:
        condition, comment = self._of(call)
        if condition.confirmed:
            raise Refused(Status.BadConditionBranchAlreadyConfirmed)
        if not condition.acked:
            raise Refused(Status.BadInvalidState, "acknowledge it first")
        condition.confirmed = True
        return await self._done(call, condition, comment)

    async def _add_comment(self, call: Call) -> list[ua.Variant]:
        condition, comment = self._of(call)
        return await self._done(call, condition, comment)

    async def _done(self, call: Call, condition: Condition, comment: str) -> list[ua.Variant]:
        condition.comment = comment
        condition.user = call.session.user.name if call.session.user else ""
        self._changed(condition)
        await self.historian.flush()
        return []

    # -- refresh --------------------------------------------------------------------------------

    def _refreshes(self) -> None:
        """ConditionRefresh is called on the type, by whoever may listen (part 9, 5.5.7)."""
        owner = ua.NodeId(Ids.ConditionType)
        number = ua.Argument(Name="SubscriptionId", DataType=ua.NodeId(Ids.UInt32), ValueRank=-1)
        item = ua.Argument(Name="MonitoredItemId", DataType=ua.NodeId(Ids.UInt32), ValueRank=-1)
        for identifier, inputs in (
            (Ids.ConditionType_ConditionRefresh, (number,)),
            (Ids.ConditionType_ConditionRefresh2, (number, item)),
        ):
            rule = Method(self._refresh, inputs, EVERYBODY, audited=False)
            self.model.server.registry.methods[owner, ua.NodeId(identifier)] = rule

    async def _refresh(self, call: Call) -> list[ua.Variant]:
        subscriptions = self.model.server.subscriptions
        try:
            subscription = subscriptions.find(call.session, call.arguments[0])
        except ua.UaStatusCodeError as error:
            raise Refused(int(error.code)) from error
        only = None
        if len(call.arguments) == 2:
            only = subscription.items.get(call.arguments[1])
            if only is None:
                raise Refused(Status.BadMonitoredItemIdInvalid)
        retained = [self._repeat(each) for each in self.conditions if each.retain]
        start, end = (
            self._bracket(Ids.RefreshStartEventType),
            self._bracket(Ids.RefreshEndEventType),
        )
        subscriptions.tell_one(subscription, [start, *retained, end], only)
        return []

    def _repeat(self, condition: Condition) -> Event:
        event = self._event(condition)
        event.event_id = condition.event_id
        event.fields["EventId",] = ua.Variant(condition.event_id, Kind.ByteString)
        return event

    def _bracket(self, kind: int) -> Event:
        server = ua.NodeId(Ids.Server)
        now = datetime.datetime.now(datetime.UTC)
        return make_event(ua.NodeId(kind), self.notifiers, server, "Server", "refresh", 1, now)

    # -- PackML ---------------------------------------------------------------------------------

    def _packml(self, admin: ua.NodeId) -> None:
        model, space = self.model, self.model.space
        text = str(admin.Identifier)
        kind = Kind.ExtensionObject
        model.bind(space.id(f"{text}.Alarm"), lambda s: self._active(), kind, is_array=True)
        model.bind(space.id(f"{text}.AlarmExtent"), lambda s: len(self._active()), Kind.Int32)
        history = space.id(f"{text}.AlarmHistory")
        model.bind(history, lambda s: list(self.history), kind, is_array=True)
        model.bind(space.id(f"{text}.AlarmHistoryExtent"), lambda s: len(self.history), Kind.Int32)
        model.bind(space.id(f"{text}.StopReason"), self._stop_reason, kind)

    def _active(self) -> list[Any]:
        return [self._packml_alarm(each) for each in self.conditions if each.active]

    def _stop_reason(self, snapshot: Snapshot) -> Any:
        reason = AlarmId(int(snapshot.machine["stop_reason"]))
        return self._packml_alarm(
            Condition(reason, 0, "", ua.NodeId(), active=reason != AlarmId.NONE)
        )

    def _packml_alarm(self, condition: Condition) -> Any:
        alarm = ua.PackMLAlarmDataType()  # made from the model at start
        alarm.ID = condition.row.code
        alarm.Value = condition.station + 1
        alarm.Message = condition.row.text
        alarm.Category = int(condition.row.alarm_class)
        alarm.DateTime = condition.since or _NEVER
        alarm.AckDateTime = condition.acked_at or _NEVER
        alarm.Trigger = condition.active
        return alarm


def severity(row: AlarmDefinition) -> int:
    """Return an alarm's severity, 1 to 1000."""
    return SEVERITY_STEP * int(row.alarm_class)


def _text(time: datetime.datetime | None) -> str | None:
    return None if time is None else time.isoformat()


def _time(text: str | None) -> datetime.datetime | None:
    return None if text is None else datetime.datetime.fromisoformat(text)


_NEVER = datetime.datetime(1601, 1, 1, tzinfo=datetime.UTC)
_SHOWN = ("Retain", "Comment", "ClientUserId", "AckedState", "ConfirmedState", "ActiveState")
_TYPE_METHODS = {
    "Acknowledge": ua.NodeId(Ids.AcknowledgeableConditionType_Acknowledge),
    "Confirm": ua.NodeId(Ids.AcknowledgeableConditionType_Confirm),
    "AddComment": ua.NodeId(Ids.ConditionType_AddComment),
}
