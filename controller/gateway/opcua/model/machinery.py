"""Machinery (OPC 40001-1): the machine under Machines, its identification and its building blocks."""

import json
from pathlib import Path
from typing import Any

from asyncua import ua

from controller.gateway.opcua.companions import DI, MACHINERY
from controller.gateway.opcua.model.model import METRE, ONE, Kind, Model, Unit
from controller.gateway.opcua.model.state_machines import ShownStateMachine
from controller.gateway.opcua.registry import Refused
from controller.gateway.opcua.sessions import Session
from controller.gateway.opcua.space import HAS_ADD_IN, HAS_NOTIFIER, NOTHING, ORGANIZES, Wanted
from controller.gateway.opcua.users import Role
from controller.gateway.snapshot import Snapshot
from controller.shared.packml import Mode, State

MACHINES = 1001
WRITABLE = ("AssetId", "ComponentName", "Location")
WRITERS = frozenset({Role.MAINTENANCE, Role.SECURITY_ADMIN})
TEXT_LENGTH_MAX = 256

_OUT = (State.ABORTING, State.ABORTED, State.CLEARING)
_RESTING = (State.STOPPED, State.IDLE, State.COMPLETE, State.HELD, State.SUSPENDED, State.RESETTING)
_MODES: dict[int, str] = {
    Mode.PRODUCTION: "Processing",
    Mode.MAINTENANCE: "Maintenance",
    Mode.MANUAL: "Setup",
}


class Machinery:
    """The machine object and what generic Machinery clients look for."""

    def __init__(self, model: Model, state: Path) -> None:
        self.model = model
        self._path = state / "identification.json"
        self._texts = _load(self._path)
        space = model.space
        self.machinery = space.namespaces[MACHINERY]
        machines = ua.NodeId(MACHINES, self.machinery)
        model.machine = space.add_object(
            machines, model.text(), model.name, reference=ORGANIZES, notifies=True
        )
        space.add_reference(ua.NodeId(ua.ObjectIds.Server), HAS_NOTIFIER, model.machine)
        self._identification()
        self._building_blocks()

    def _identification(self) -> None:
        model, space = self.model, self.model.space
        wanted: Wanted = dict.fromkeys((*WRITABLE, "Model", "SoftwareRevision"), NOTHING)
        kind = space.type(MACHINERY, "MachineIdentificationType")
        name = ua.QualifiedName("Identification", space.namespaces[DI])
        text = model.text("Identification")
        space.instantiate(model.machine, text, name, kind, wanted, HAS_ADD_IN)
        serial = self._texts.setdefault("SerialNumber", "1")
        texts = {
            "Manufacturer": ua.LocalizedText("Foldline"),
            "Model": ua.LocalizedText("Z-fold stacker"),
            "SerialNumber": serial,
            "ProductInstanceUri": f"urn:foldline:stacker:{serial}",
            "SoftwareRevision": model.server.version,
        }
        for name_, value in texts.items():
            kind_ = Kind.LocalizedText if isinstance(value, ua.LocalizedText) else Kind.String
            model.fixed(space.id(f"{text}.{name_}"), value, kind_)
        for name_ in WRITABLE:
            node = space.id(f"{text}.{name_}")
            self._show(name_, node)
            model.writable(node, WRITERS, self._writer(name_, node))

    def _show(self, name: str, node: ua.NodeId) -> None:
        value: Any = self._texts.get(name, "")
        localized = name == "ComponentName"
        kind = Kind.LocalizedText if localized else Kind.String
        self.model.fixed(node, ua.LocalizedText(value) if localized else value, kind)

    def _writer(self, name: str, node: ua.NodeId) -> Any:
        def write(session: Session, sent: ua.Variant) -> None:
            text = sent.Value.Text if isinstance(sent.Value, ua.LocalizedText) else sent.Value
            if text is not None and len(text) > TEXT_LENGTH_MAX:
                raise Refused(ua.StatusCodes.BadOutOfRange, f"{name}: {TEXT_LENGTH_MAX} at most")
            self._texts[name] = text or ""
            draft = self._path.with_suffix(".new")
            draft.write_text(json.dumps(self._texts))
            draft.replace(self._path)
            self._show(name, node)

        return write

    def _building_blocks(self) -> None:
        model, space = self.model, self.model.space
        name = ua.QualifiedName("MachineryBuildingBlocks", self.machinery)
        text = model.text("MachineryBuildingBlocks")
        blocks = space.add_object(model.machine, text, name)
        state = self._block(blocks, "MachineryItemState", "MachineryItemState_StateMachineType")
        mode = self._block(
            blocks, "MachineryOperationMode", "MachineryOperationModeStateMachineType"
        )
        state_type = space.type(MACHINERY, "MachineryItemState_StateMachineType")
        mode_type = space.type(MACHINERY, "MachineryOperationModeStateMachineType")
        ShownStateMachine(model, state, state_type, _item_state)
        ShownStateMachine(
            model, mode, mode_type, lambda s: _MODES.get(int(s.machine["mode"]), "None")
        )
        self._counters(blocks)
        self._block(blocks, "Notifications", "NotificationsType", notifies=True)
        self._components(self._block(blocks, "Components", "MachineComponentsType"))
        monitoring = self._block(blocks, "Monitoring", "MonitoringType", {"Status": {}})
        status = space.id(f"{monitoring.Identifier}.Status")
        for each in (state, mode):
            space.add_reference(status, ORGANIZES, each)

    def _block(
        self,
        parent: ua.NodeId,
        name: str,
        kind: str,
        wanted: Wanted | None = None,
        notifies: bool = False,
    ) -> ua.NodeId:
        space = self.model.space
        text = self.model.text("MachineryBuildingBlocks", name)
        browse_name = ua.QualifiedName(name, self.machinery)
        type_id = space.type(MACHINERY, kind)
        return space.instantiate(
            parent, text, browse_name, type_id, wanted or {}, HAS_ADD_IN, notifies=notifies
        )

    def _counters(self, blocks: ua.NodeId) -> None:
        model, space = self.model, self.model.space
        wanted: Wanted = {"OperationCycleCounter": {}, "PowerOnDuration": {}}
        node = self._block(blocks, "OperationCounters", "MachineryOperationCounterType", wanted)
        period_ms = model.settings.period_us * 1e-3
        cycles = space.id(f"{node.Identifier}.OperationCycleCounter")
        _set_type(model, cycles, ua.ObjectIds.UInt64)
        model.bind(cycles, lambda s: int(s.machine["cells_done"]), Kind.UInt64)
        duration = space.id(f"{node.Identifier}.PowerOnDuration")
        model.bind(duration, lambda s: float(s.machine["cycle"] * period_ms), Kind.Double)
        lifetime = self._block(blocks, "LifetimeCounters", "MachineryLifetimeCounterType")
        for index in range(len(model.settings.stations)):
            number = f"{index + 1}"
            self._lifetime(lifetime, f"Station{number}Sheets", ONE, index, "sheets_total")
            self._lifetime(lifetime, f"Station{number}Web", METRE, index, "feed_total_m")

    def _lifetime(self, parent: ua.NodeId, name: str, unit: Unit, station: int, field: str) -> None:
        model, space = self.model, self.model.space
        text = f"{parent.Identifier}.{name}"
        kind = space.type(DI, "LifetimeVariableType")
        node = space.add_variable(parent, text, name, ua.Variant(0.0, Kind.Double), kind)
        model.add_unit(node, text, unit)
        for limit, value in (("StartValue", 0.0), ("LimitValue", 1e9)):
            browse_name = ua.QualifiedName(limit, space.namespaces[DI])
            space.add_property(node, f"{text}.{limit}", browse_name, ua.Variant(value, Kind.Double))
        model.bind(node, lambda s: float(s.stations[station][field]), Kind.Double, station)

    def _components(self, components: ua.NodeId) -> None:
        model, space = self.model, self.model.space
        kind = space.type(MACHINERY, "MachineryComponentIdentificationType")
        for index, station in enumerate(model.settings.stations):
            text = f"{components.Identifier}.{station.name}"
            part = space.add_object(
                components, text, station.name, ua.NodeId(ua.ObjectIds.BaseObjectType)
            )
            name = ua.QualifiedName("Identification", space.namespaces[DI])
            text = f"{text}.Identification"
            space.instantiate(part, text, name, kind, {}, HAS_ADD_IN)
            model.fixed(
                space.id(f"{text}.Manufacturer"), ua.LocalizedText("Foldline"), Kind.LocalizedText
            )
            model.fixed(space.id(f"{text}.SerialNumber"), f"{index + 1}", Kind.String)


def _item_state(snapshot: Snapshot) -> str:
    state = State(int(snapshot.machine["state"]))
    if state in _OUT:
        return "OutOfService"
    return "NotExecuting" if state in _RESTING else "Executing"


def _set_type(model: Model, node: ua.NodeId, kind: int) -> None:
    model.space.set_attribute(node, ua.AttributeIds.DataType, Kind.NodeId, ua.NodeId(kind))


def _load(path: Path) -> dict[str, str]:
    return json.loads(path.read_text()) if path.exists() else {}
