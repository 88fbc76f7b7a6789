"""Nodes made lightly: an attribute that never changes is one object for all nodes that say the same.

asyncua keeps value, time stamps and watchers for every attribute of every node, fourteen times some ten
thousand; but only a Value ever changes, and the few others that are set anew get an object of their own.
"""

import datetime
from collections.abc import Hashable
from typing import Any, TypeAlias

from asyncua import ua
from asyncua.server.address_space import AddressSpace, AttributeValue, NodeData

Id: TypeAlias = ua.AttributeIds
Kind: TypeAlias = ua.VariantType
_HAS_TYPE = ua.NodeId(ua.ObjectIds.HasTypeDefinition)
_OWN = (Id.NodeId, Id.Value, Id.DataTypeDefinition)

_COMMON = (
    (Id.DisplayName, Kind.LocalizedText),
    (Id.Description, Kind.LocalizedText),
    (Id.WriteMask, Kind.UInt32),
    (Id.UserWriteMask, Kind.UInt32),
)
_INSTANCES: dict[ua.NodeClass, tuple[tuple[Id, Kind], ...]] = {
    ua.NodeClass.Object: (*_COMMON, (Id.EventNotifier, Kind.Byte)),
    ua.NodeClass.Method: (
        *_COMMON,
        (Id.Executable, Kind.Boolean),
        (Id.UserExecutable, Kind.Boolean),
    ),
    ua.NodeClass.Variable: (
        *_COMMON,
        (Id.DataType, Kind.NodeId),
        (Id.ValueRank, Kind.Int32),
        (Id.ArrayDimensions, Kind.UInt32),
        (Id.AccessLevel, Kind.Byte),
        (Id.UserAccessLevel, Kind.Byte),
        (Id.MinimumSamplingInterval, Kind.Double),
        (Id.Historizing, Kind.Boolean),
    ),
}


class Nodes:
    """Adds instances to an asyncua address space and shares what they have in common."""

    def __init__(self, space: AddressSpace) -> None:
        self._space = space
        self._shared: dict[Hashable, AttributeValue] = {}
        self._references: dict[Hashable, ua.ReferenceDescription] = {}
        self._made = datetime.datetime.now(datetime.UTC)
        for node in space._nodes.values():  # noqa: SLF001 (asyncua has no iterator)
            self._share(node)

    def _share(self, node: NodeData) -> None:
        for attribute, held in node.attributes.items():
            if attribute not in _OWN and held.value is not None:
                variant = held.value.Value
                key = (variant.VariantType, variant.is_array, _key(variant.Value))
                node.attributes[attribute] = self._shared.setdefault(key, held)

    def attribute(self, kind: Kind, value: Any) -> AttributeValue:
        """Return the attribute that says this; it is not to be written."""
        is_array = isinstance(value, list) or (kind == Kind.UInt32 and value is None)
        key = (kind, is_array, _key(value))
        held = self._shared.get(key)
        if held is None:
            held = AttributeValue(ua.DataValue(ua.Variant(value, kind, is_array=is_array)))
            self._shared[key] = held
        return held

    def set(self, node_id: ua.NodeId, attribute: Id, kind: Kind, value: Any) -> None:
        """Let an attribute of a node, other than its Value, say something else."""
        self._space[node_id].attributes[attribute] = self.attribute(kind, value)

    def add(self, item: ua.AddNodesItem) -> ua.NodeId:
        """Add an object, variable or method; RuntimeError where its place is taken or not there."""
        node_id, parent = item.RequestedNewNodeId, self._space.get(item.ParentNodeId)
        if node_id in self._space or parent is None:
            raise RuntimeError(f"{node_id}: exists, or {item.ParentNodeId} does not")
        node = NodeData(node_id)
        said, attributes = item.NodeAttributes, node.attributes
        attributes[Id.NodeId] = AttributeValue(ua.DataValue(ua.Variant(node_id, Kind.NodeId)))
        attributes[Id.BrowseName] = self.attribute(Kind.QualifiedName, item.BrowseName)
        attributes[Id.NodeClass] = self.attribute(Kind.Int32, item.NodeClass)
        for attribute, kind in _INSTANCES[item.NodeClass]:
            attributes[attribute] = self.attribute(kind, getattr(said, attribute.name))
        if item.NodeClass == ua.NodeClass.Variable:
            value = ua.DataValue(_variant(said.Value), SourceTimestamp=self._made)
            attributes[Id.Value] = AttributeValue(value)
        self._space[node_id] = node
        self._connect(node, parent, item)
        return node_id

    def _connect(self, node: NodeData, parent: NodeData, item: ua.AddNodesItem) -> None:
        kind, type_id = item.ReferenceTypeId, item.TypeDefinition
        parent.references.append(self._describe(node, kind, True, type_id))
        node.references.append(self._shared_reference(parent, kind, False))
        if not type_id.is_null():
            node.references.append(self._shared_reference(self._space[type_id], _HAS_TYPE, True))

    def _shared_reference(
        self, target: NodeData, kind: ua.NodeId, forward: bool
    ) -> ua.ReferenceDescription:
        """All children of a parent, and all instances of a type, refer to it in the same words."""
        key = (target.nodeid, kind, forward)
        if key not in self._references:
            types = (each for each in target.references if each.ReferenceTypeId == _HAS_TYPE)
            type_id = next((each.NodeId for each in types if each.IsForward), ua.NodeId())
            self._references[key] = self._describe(target, kind, forward, type_id)
        return self._references[key]

    def _describe(
        self, target: NodeData, kind: ua.NodeId, forward: bool, type_id: ua.NodeId
    ) -> ua.ReferenceDescription:
        name, display, node_class = (
            target.attributes[each].value.Value.Value
            for each in (Id.BrowseName, Id.DisplayName, Id.NodeClass)
        )
        return ua.ReferenceDescription(
            ReferenceTypeId=kind,
            IsForward=forward,
            NodeId=target.nodeid,
            BrowseName=name,
            DisplayName=display,
            NodeClass=ua.NodeClass(node_class),
            TypeDefinition=type_id,
        )


def is_instance(item: ua.AddNodesItem) -> bool:
    """Tell whether a node is one that `Nodes` adds; types are asyncua's."""
    return item.NodeClass in _INSTANCES


def _variant(value: Any) -> ua.Variant:
    return value if isinstance(value, ua.Variant) else ua.Variant(value)


def _key(value: Any) -> Hashable:
    if isinstance(value, ua.LocalizedText):
        return ("text", value.Locale, value.Text)
    if isinstance(value, ua.QualifiedName):
        return ("name", value.NamespaceIndex, value.Name)
    if isinstance(value, list):
        return tuple(value)
    return value if isinstance(value, Hashable) else id(value)
