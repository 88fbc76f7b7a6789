"""Diagnostics and safety: how punctual the loop is, what the bus does, and what the safety circuits say."""

import dataclasses

from asyncua import ua

from controller.gateway.opcua.attributes import bad
from controller.gateway.opcua.model.model import Kind, Model, Reader
from controller.gateway.opcua.values import LiveValue
from controller.gateway.snapshot import Snapshot
from controller.shared.conditions import ConditionId
from controller.shared.histogram import percentile_ns
from controller.shared.status import Phase
from drivers.image import BusState

PHASES = {
    "Lateness": Phase.LATENESS,
    "Exchange": Phase.EXCHANGE,
    "Scan": Phase.SCAN,
    "Publish": Phase.PUBLISH,
    "Cycle": Phase.CYCLE,
}
CIRCUITS = {
    "EmergencyStopOk": ConditionId.EMERGENCY_STOP_OK,
    "SafeTorqueOffOk": ConditionId.SAFE_TORQUE_OFF_OK,
    "DoorClosed": ConditionId.DOOR_CLOSED,
}
SLOW_S = 1.0  # histograms change with every cycle; a second is often enough


def build_diagnostics(model: Model) -> None:
    """Add the Diagnostics folder."""
    folder = model.folder(model.machine, "Diagnostics")
    counters = {
        "Cycles": "cycles",
        "Overruns": "overruns",
        "OverrunsInARow": "overruns_in_a_row",
        "LaterThan100us": "over_100_us",
    }
    slow = _Slow(model)
    for name, field in counters.items():
        slow.add(folder, ("Diagnostics", name), Kind.Int64, _statistic(field))
    for name, phase in PHASES.items():
        group = model.folder(folder, "Diagnostics", name)
        slow.phase(group, name, phase)
    states = model.enumeration("BusState", ((each.value, each.name) for each in BusState))
    machine = {"FramesLost": "frames_lost", "FramesLate": "frames_late"}
    for name, field in machine.items():
        read = _machine_field(field)
        model.variable(folder, ("Diagnostics", name), Kind.UInt32, read)
    bus = ("Diagnostics", "BusState")
    model.variable(folder, bus, Kind.Int32, _machine_field("bus_state"), data_type=states)
    pending = ("Diagnostics", "RecordsNotStored")
    model.variable(folder, pending, Kind.Int32, lambda s: s.records_pending)


def build_server_diagnostics(model: Model) -> None:
    """Show what the server counts; who else is connected, and what he watches, is nobody's business."""
    server = model.server
    summary = ua.ObjectIds.Server_ServerDiagnostics_ServerDiagnosticsSummary
    whole = model.bind(ua.NodeId(summary), None, Kind.ExtensionObject)
    parts = {
        field.name: model.bind(_summary_node(field.name), None, Kind.UInt32)
        for field in dataclasses.fields(server.summary.counts)
    }
    model.fixed(ua.NodeId(ua.ObjectIds.Server_ServerDiagnostics_EnabledFlag), True, Kind.Boolean)
    for identifier in _NOT_SHOWN:
        model.space.value(ua.NodeId(identifier)).value = bad(ua.StatusCodes.BadNotSupported)

    def update(snapshot: Snapshot) -> None:
        subscriptions = server.subscriptions.by_id.values()
        counts = dataclasses.replace(
            server.summary.counts,
            CurrentSessionCount=len(server.sessions),
            CurrentSubscriptionCount=len(subscriptions),
            PublishingIntervalCount=len({each.interval_ms for each in subscriptions}),
        )
        whole.set(counts, snapshot.now)
        for name, value in parts.items():
            value.set(getattr(counts, name), snapshot.now)

    model.on_snapshot.append(update)


def _summary_node(name: str) -> ua.NodeId:
    prefix = "Server_ServerDiagnostics_ServerDiagnosticsSummary"
    return ua.NodeId(getattr(ua.ObjectIds, f"{prefix}_{name}"))


_NOT_SHOWN = (
    ua.ObjectIds.Server_ServerDiagnostics_SamplingIntervalDiagnosticsArray,
    ua.ObjectIds.Server_ServerDiagnostics_SubscriptionDiagnosticsArray,
    ua.ObjectIds.Server_ServerDiagnostics_SessionsDiagnosticsSummary_SessionDiagnosticsArray,
    ua.ObjectIds.Server_ServerDiagnostics_SessionsDiagnosticsSummary_SessionSecurityDiagnosticsArray,
)


class _Slow:
    """Values written at most once a second, all from one copy of the statistics."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._values: list[tuple[LiveValue, Reader]] = []
        self._next = 0.0
        model.on_snapshot.append(self.update)

    def add(
        self,
        parent: ua.NodeId,
        path: tuple[str, ...],
        kind: Kind,
        read: Reader,
        is_array: bool = False,
    ) -> None:
        value = self.model.variable(parent, path, kind, None, is_array=is_array)
        self._values.append((value, read))

    def phase(self, group: ua.NodeId, name: str, phase: int) -> None:
        path = ("Diagnostics", name)
        self.add(group, (*path, "Histogram_ns"), Kind.Int64, _histogram(phase), is_array=True)
        for label, share in (("P50_ns", 0.5), ("P99_ns", 0.99), ("P99_9_ns", 0.999)):
            self.add(group, (*path, label), Kind.Double, _percentile(phase, share))
        self.add(group, (*path, "Max_ns"), Kind.Int64, lambda s: int(s.statistics["max_ns"][phase]))

    def update(self, snapshot: Snapshot) -> None:
        if not snapshot.alive or snapshot.statistics is None:
            for value, _ in self._values:
                value.spoil(ua.StatusCodes.BadNoCommunication, snapshot.now)
        elif snapshot.now.timestamp() >= self._next:
            self._next = snapshot.now.timestamp() + SLOW_S
            for value, read in self._values:
                value.set(read(snapshot), snapshot.now)


def build_safety(model: Model) -> None:
    """Add the Safety folder: read only; Foldline watches the circuits, it is not one."""
    folder = model.folder(model.machine, "Safety")
    for index, station in enumerate(model.settings.stations):
        group = model.folder(folder, "Safety", station.name)
        for name, condition in CIRCUITS.items():
            path = ("Safety", station.name, name)
            model.variable(group, path, Kind.Boolean, _condition(index, condition), index)


def _statistic(field: str) -> Reader:
    return lambda s: int(s.statistics[field])


def _machine_field(field: str) -> Reader:
    return lambda s: s.machine[field].item()


def _histogram(phase: int) -> Reader:
    return lambda s: s.statistics["histogram"][phase].tolist()


def _percentile(phase: int, share: float) -> Reader:
    return lambda s: percentile_ns(s.statistics["histogram"][phase], share)


def _condition(station: int, condition: ConditionId) -> Reader:
    return lambda s: bool(s.stations[station]["conditions"][condition])
