"""The machine's instance: what is bound to the core's status, method by method and value by value."""

import datetime
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from asyncua import ua

from controller.gateway.opcua.events import Event
from controller.gateway.opcua.registry import Call, Method, Writable
from controller.gateway.opcua.server import GatewayServer
from controller.gateway.opcua.sessions import Session
from controller.gateway.opcua.space import ANALOG, FOLDER, Space
from controller.gateway.opcua.users import Role
from controller.gateway.opcua.values import LiveValue
from controller.gateway.snapshot import Snapshot
from controller.settings.machine import MachineSettings

Kind: TypeAlias = ua.VariantType
NO_CORE = ua.StatusCodes.BadNoCommunication
NOT_YET = ua.StatusCodes.BadWaitingForInitialData
Reader = Callable[[Snapshot], Any]
Quality = Callable[[Snapshot], int]


@dataclass(slots=True)
class Binding:
    """A live value and how it is read from a snapshot; `station` -1 is the machine."""

    value: LiveValue
    read: Reader
    station: int
    quality: Quality | None


@dataclass(frozen=True)
class Unit:
    """An engineering unit by its UNECE common code (recommendation 20)."""

    code: str
    symbol: str
    name: str

    @property
    def information(self) -> ua.EUInformation:
        """The unit as OPC UA writes it: the code's characters are its number (part 8, 5.6.3)."""
        information = ua.EUInformation()
        information.NamespaceUri = "http://www.opcfoundation.org/UA/units/un/cefact"
        information.UnitId = int.from_bytes(self.code.encode(), "big")
        information.DisplayName = ua.LocalizedText(self.symbol)
        information.Description = ua.LocalizedText(self.name)
        return information


METRE = Unit("MTR", "m", "metre")
METRE_PER_SECOND = Unit("MTS", "m/s", "metre per second")
NEWTON = Unit("NEW", "N", "newton")
RADIAN = Unit("C81", "rad", "radian")
RADIAN_PER_SECOND = Unit("2A", "rad/s", "radian per second")
NEWTON_METRE = Unit("NU", "N·m", "newton metre")
PASCAL = Unit("PAL", "Pa", "pascal")
SECOND = Unit("SEC", "s", "second")
PERCENT = Unit("P1", "%", "percent")
ONE = Unit("C62", "1", "one")


class Model:
    """The instance under one machine object; its parts add themselves through these few methods."""

    def __init__(self, server: GatewayServer, settings: MachineSettings) -> None:
        self.server = server
        self.space: Space = server.space
        self.settings = settings
        self.bindings: list[Binding] = []
        self.on_snapshot: list[Callable[[Snapshot], None]] = []
        self._times: dict[int, int] = {}
        self.name = settings.name
        self.machine: ua.NodeId = ua.NodeId()  # set by the part that builds it

    def text(self, *parts: str) -> str:
        """Return the string of a NodeId below the machine."""
        return ".".join(("Machine", *parts))

    def id(self, *parts: str) -> ua.NodeId:
        """Return a NodeId below the machine."""
        return self.space.id(self.text(*parts))

    def folder(self, parent: ua.NodeId, *path: str, type_id: ua.NodeId = FOLDER) -> ua.NodeId:
        """Add a folder named by the last part of its path."""
        return self.space.add_object(parent, self.text(*path), path[-1], type_id)

    def is_part(self, node_id: ua.NodeId) -> bool:
        """Tell whether a node exists."""
        return node_id in self.space.nodes

    # -- values ---------------------------------------------------------------------------------

    def bind(
        self,
        node_id: ua.NodeId,
        read: Reader | None,
        kind: Kind,
        station: int = -1,
        quality: Quality | None = None,
        is_array: bool = False,
    ) -> LiveValue:
        """Make a variable live; without a reader it is set by whoever asked for it."""
        value = LiveValue(node_id, self.space.value(node_id), kind, is_array)
        value.set(None, datetime.datetime.now(datetime.UTC), NOT_YET)
        if read is not None:
            self.bindings.append(Binding(value, read, station, quality))
        return value

    def variable(
        self,
        parent: ua.NodeId,
        path: tuple[str, ...],
        kind: Kind,
        read: Reader | None,
        station: int = -1,
        quality: Quality | None = None,
        is_array: bool = False,
        data_type: ua.NodeId | None = None,
        description: str = "",
    ) -> LiveValue:
        """Add a live variable named by the last part of its path."""
        value = ua.Variant([] if is_array else _zero(kind), kind, is_array=is_array)
        node_id = self.space.add_variable(
            parent, self.text(*path), path[-1], value, data_type=data_type, description=description
        )
        return self.bind(node_id, read, kind, station, quality, is_array)

    def analog(
        self,
        parent: ua.NodeId,
        path: tuple[str, ...],
        unit: Unit,
        limits: tuple[float, float],
        read: Reader,
        station: int = -1,
        quality: Quality | None = None,
        description: str = "",
    ) -> LiveValue:
        """Add a live Double with its unit and EURange."""
        text = self.text(*path)
        zero = ua.Variant(0.0, Kind.Double)
        node_id = self.space.add_variable(
            parent, text, path[-1], zero, ANALOG, description=description
        )
        self.add_range(node_id, text, limits)
        self.add_unit(node_id, text, unit)
        return self.bind(node_id, read, Kind.Double, station, quality)

    def add_range(self, node_id: ua.NodeId, text: str, limits: tuple[float, float]) -> None:
        """Give a variable its EURange."""
        value = ua.Variant(ua.Range(float(limits[0]), float(limits[1])), Kind.ExtensionObject)
        name = ua.QualifiedName("EURange", 0)
        self.space.add_property(
            node_id, f"{text}.EURange", name, value, data_type=ua.NodeId(ua.ObjectIds.Range)
        )

    def add_unit(self, node_id: ua.NodeId, text: str, unit: Unit) -> None:
        """Give a variable its EngineeringUnits."""
        value = ua.Variant(unit.information, Kind.ExtensionObject)
        name = ua.QualifiedName("EngineeringUnits", 0)
        kind = ua.NodeId(ua.ObjectIds.EUInformation)
        self.space.add_property(node_id, f"{text}.EngineeringUnits", name, value, data_type=kind)

    def fixed(self, node_id: ua.NodeId, value: Any, kind: Kind, is_array: bool = False) -> None:
        """Write a value that does not change while the server runs."""
        now = datetime.datetime.now(datetime.UTC)
        variant = ua.Variant(value, kind, is_array=is_array)
        self.space.value(node_id).value = ua.DataValue(variant, ua.StatusCode(), now, now)

    def enumeration(self, name: str, members: Iterable[tuple[int, str]]) -> ua.NodeId:
        """Add an enumeration DataType made from one of the controller's own tables."""
        item = ua.AddNodesItem()
        item.NodeClass = ua.NodeClass.DataType
        item.ParentNodeId = ua.NodeId(ua.ObjectIds.Enumeration)
        item.ReferenceTypeId = ua.NodeId(ua.ObjectIds.HasSubtype)
        item.RequestedNewNodeId = self.space.id(name)
        item.BrowseName = ua.QualifiedName(name, self.space.own)
        attributes = ua.DataTypeAttributes()
        attributes.DisplayName = ua.LocalizedText(name)
        rows = list(members)
        definition = ua.EnumDefinition()
        definition.Fields = [
            ua.EnumField(Value=number, DisplayName=ua.LocalizedText(word), Name=word)
            for number, word in rows
        ]
        attributes.DataTypeDefinition = definition
        item.NodeAttributes = attributes
        node_id = self.space.add(item)
        values = [
            ua.EnumValueType(Value=number, DisplayName=ua.LocalizedText(word))
            for number, word in rows
        ]
        self.space.add_property(
            node_id,
            f"{name}.EnumValues",
            ua.QualifiedName("EnumValues", 0),
            ua.Variant(values, Kind.ExtensionObject, is_array=True),
            data_type=ua.NodeId(ua.ObjectIds.EnumValueType),
        )
        return node_id

    # -- methods and writes ---------------------------------------------------------------------

    def serve_method(
        self,
        object_id: ua.NodeId,
        name: str,
        handler: Callable[[Call], Awaitable[list[ua.Variant]]],
        roles: frozenset[Role],
    ) -> ua.NodeId:
        """Serve a method that the object has already."""
        method_id = self.method_of(object_id, name)
        rule = Method(handler, self.space.input_arguments(method_id), roles)
        self.server.registry.methods[object_id, method_id] = rule
        return method_id

    def method_of(self, object_id: ua.NodeId, name: str) -> ua.NodeId:
        """Return the NodeId of an object's method; KeyError where it has none."""
        for each in self.space.nodes[object_id].references:
            named = each.IsForward and each.BrowseName.Name == name
            if named and each.NodeClass == ua.NodeClass.Method:
                return each.NodeId
        raise KeyError(f"{object_id} has no method {name}")

    def add_method(
        self,
        object_id: ua.NodeId,
        path: tuple[str, ...],
        inputs: list[ua.Argument],
        outputs: list[ua.Argument],
        handler: Callable[[Call], Awaitable[list[ua.Variant]]],
        roles: frozenset[Role],
        description: str = "",
    ) -> ua.NodeId:
        """Add a method of our own and serve it."""
        text = self.text(*path)
        node = self.space.add_method(object_id, text, path[-1], inputs, outputs, description)
        rule = Method(handler, tuple(inputs), roles)
        self.server.registry.methods[object_id, node] = rule
        return node

    def writable(
        self,
        node_id: ua.NodeId,
        roles: frozenset[Role],
        handler: Callable[[Session, ua.Variant], None],
    ) -> None:
        """Let some roles write a variable."""
        level = ua.AccessLevel.CurrentRead.mask | ua.AccessLevel.CurrentWrite.mask
        self.space.set_attribute(node_id, ua.AttributeIds.AccessLevel, Kind.Byte, level)
        self.server.registry.writables[node_id] = Writable(roles, handler)

    # -- running --------------------------------------------------------------------------------

    def update(self, snapshot: Snapshot) -> None:
        """Write what changed; everything the core says turns Bad when it is silent."""
        if not snapshot.alive or snapshot.machine is None:
            self._spoil(snapshot)
        else:
            self._refresh(snapshot)
        for each in self.on_snapshot:
            each(snapshot)

    def _spoil(self, snapshot: Snapshot) -> None:
        status = NO_CORE if self._times else NOT_YET
        self._times = {-1: 0} if self._times else {}
        for binding in self.bindings:
            binding.value.spoil(status, snapshot.now)

    def _refresh(self, snapshot: Snapshot) -> None:
        times = {-1: int(snapshot.machine["time_ns"])}
        # A station has no time of its own: its record is published with the machine's.
        acquired = snapshot.time_of(times[-1])
        for binding in self.bindings:
            if binding.station >= 0 and snapshot.stations[binding.station] is None:
                continue
            status = binding.quality(snapshot) if binding.quality is not None else 0
            binding.value.set(binding.read(snapshot), acquired, status)
        self._times = times

    def tell(self, event: Event) -> None:
        """Tell an event to its listeners."""
        self.server.subscriptions.tell(event)


def argument(
    name: str, kind: Kind | ua.NodeId, description: str = "", is_array: bool = False
) -> ua.Argument:
    """Return a method argument."""
    result = ua.Argument()
    result.Name = name
    result.DataType = kind if isinstance(kind, ua.NodeId) else ua.NodeId(kind.value)
    result.ValueRank = 1 if is_array else -1
    result.ArrayDimensions = [0] if is_array else []
    result.Description = ua.LocalizedText(description)
    return result


def _zero(kind: Kind) -> Any:
    if kind == Kind.Boolean:
        return False
    if kind in (Kind.Double, Kind.Float):
        return 0.0
    if kind == Kind.LocalizedText:
        return ua.LocalizedText("")
    return None if kind in (Kind.String, Kind.DateTime, Kind.ByteString) else 0
