"""Builds instances deliberately: what their types declare, with the types' own references.

asyncua's `instantiate()` makes placeholders, leaves out optional parts that are wanted, and turns every
reference into HasComponent; here an instance follows its type's declarations (OPC UA part 3, 6.3).
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from asyncua import ua
from asyncua.server.address_space import AttributeValue, NodeData
from asyncua.server.internal_server import InternalServer

from controller.gateway.opcua.nodes import Nodes, is_instance

Ids = ua.ObjectIds
Attribute = ua.AttributeIds
HAS_COMPONENT = ua.NodeId(Ids.HasComponent)
HAS_PROPERTY = ua.NodeId(Ids.HasProperty)
HAS_ADD_IN = ua.NodeId(Ids.HasAddIn)
ORGANIZES = ua.NodeId(Ids.Organizes)
HAS_TYPE = ua.NodeId(Ids.HasTypeDefinition)
HAS_SUBTYPE = ua.NodeId(Ids.HasSubtype)
HAS_RULE = ua.NodeId(Ids.HasModellingRule)
HAS_NOTIFIER = ua.NodeId(Ids.HasNotifier)
MANDATORY = ua.NodeId(Ids.ModellingRule_Mandatory)
OPTIONAL = ua.NodeId(Ids.ModellingRule_Optional)
FOLDER = ua.NodeId(Ids.FolderType)
PROPERTY = ua.NodeId(Ids.PropertyType)
VARIABLE = ua.NodeId(Ids.BaseDataVariableType)
ANALOG = ua.NodeId(Ids.AnalogUnitRangeType)

# Which optional parts an instance has: names, each with the parts of its own.
Wanted = Mapping[str, "Wanted"]
NOTHING: Wanted = {}


class Space:
    """The address space as the model writes it: string NodeIds in the own namespace."""

    def __init__(self, server: InternalServer, namespaces: Mapping[str, int], own: int) -> None:
        self._server = server
        self.nodes = server.aspace
        self.namespaces = namespaces
        self.own = own
        # Types do not change while an instance is built: what they declare is looked up once.
        self.type = cache(self._type)
        self._declared = cache(self._find_declared)
        self._light = Nodes(server.aspace)

    def id(self, text: str) -> ua.NodeId:
        """Return the NodeId of a string in the own namespace."""
        return ua.NodeId(text, self.own)

    def _type(self, namespace: str, name: str) -> ua.NodeId:
        """Return a companion model's type by its name; KeyError where the model has none."""
        index = self.namespaces[namespace]
        for node_id, node in self.nodes._nodes.items():  # noqa: SLF001 (asyncua has no iterator)
            named = node_id.NamespaceIndex == index and self.browse_name(node_id).Name == name
            if named and self._class(node) in _TYPES:
                return node_id
        raise KeyError(f"{namespace} has no type {name}")

    def browse_name(self, node_id: ua.NodeId) -> ua.QualifiedName:
        """Return a node's BrowseName."""
        return self.nodes[node_id].attributes[Attribute.BrowseName].value.Value.Value

    def value(self, node_id: ua.NodeId) -> AttributeValue:
        """Return the Value attribute of a variable."""
        return self.nodes[node_id].attributes[Attribute.Value]

    def _class(self, node: NodeData) -> ua.NodeClass:
        return ua.NodeClass(node.attributes[Attribute.NodeClass].value.Value.Value)

    def set_attribute(
        self, node_id: ua.NodeId, attribute: ua.AttributeIds, kind: ua.VariantType, value: Any
    ) -> None:
        """Let an attribute of a node, other than its Value, say something else."""
        self._light.set(node_id, attribute, kind, value)

    # -- single nodes ---------------------------------------------------------------------------

    def add_object(
        self,
        parent: ua.NodeId,
        text: str,
        name: ua.QualifiedName | str,
        type_id: ua.NodeId = FOLDER,
        reference: ua.NodeId = HAS_COMPONENT,
        description: str = "",
        notifies: bool = False,
    ) -> ua.NodeId:
        """Add an object and return its NodeId."""
        attributes = ua.ObjectAttributes()
        attributes.EventNotifier = 1 if notifies else 0
        item = self._item(
            ua.NodeClass.Object, parent, text, name, reference, attributes, description
        )
        item.TypeDefinition = type_id
        return self.add(item)

    def add_variable(
        self,
        parent: ua.NodeId,
        text: str,
        name: ua.QualifiedName | str,
        value: ua.Variant,
        type_id: ua.NodeId = VARIABLE,
        reference: ua.NodeId = HAS_COMPONENT,
        data_type: ua.NodeId | None = None,
        description: str = "",
    ) -> ua.NodeId:
        """Add a variable and return its NodeId."""
        attributes = ua.VariableAttributes()
        attributes.Value = value
        attributes.DataType = data_type or ua.NodeId(value.VariantType.value)
        attributes.ValueRank = 1 if value.is_array else -1
        attributes.ArrayDimensions = [0] if value.is_array else None
        item = self._item(
            ua.NodeClass.Variable, parent, text, name, reference, attributes, description
        )
        item.TypeDefinition = type_id
        return self.add(item)

    def add_property(
        self,
        parent: ua.NodeId,
        text: str,
        name: ua.QualifiedName | str,
        value: ua.Variant,
        **more: Any,
    ) -> ua.NodeId:
        """Add a property and return its NodeId."""
        return self.add_variable(parent, text, name, value, PROPERTY, HAS_PROPERTY, **more)

    def add_method(
        self,
        parent: ua.NodeId,
        text: str,
        name: ua.QualifiedName | str,
        inputs: list[ua.Argument],
        outputs: list[ua.Argument],
        description: str = "",
        reference: ua.NodeId = HAS_COMPONENT,
    ) -> ua.NodeId:
        """Add a method with its arguments and return its NodeId."""
        attributes = ua.MethodAttributes(Executable=True, UserExecutable=True)
        item = self._item(
            ua.NodeClass.Method, parent, text, name, reference, attributes, description
        )
        method = self.add(item)
        for property_name, arguments in (("InputArguments", inputs), ("OutputArguments", outputs)):
            if arguments:
                value = ua.Variant(arguments, ua.VariantType.ExtensionObject, is_array=True)
                property_text = f"{text}.{property_name}"
                self.add_property(
                    method,
                    property_text,
                    ua.QualifiedName(property_name, 0),
                    value,
                    data_type=ua.NodeId(Ids.Argument),
                )
        return method

    def add_reference(self, source: ua.NodeId, kind: ua.NodeId, target: ua.NodeId) -> None:
        """Add a reference in both directions."""
        for start, end, forward in ((source, target, True), (target, source, False)):
            item = ua.AddReferencesItem()
            item.SourceNodeId, item.ReferenceTypeId, item.TargetNodeId = start, kind, end
            item.IsForward = forward
            item.TargetNodeClass = self._class(self.nodes[end])
            self._server.node_mgt_service.add_references([item])[0].check()

    def _item(
        self,
        node_class: ua.NodeClass,
        parent: ua.NodeId,
        text: str,
        name: ua.QualifiedName | str,
        reference: ua.NodeId,
        attributes: Any,
        description: str,
    ) -> ua.AddNodesItem:
        item = ua.AddNodesItem()
        item.NodeClass = node_class
        item.ParentNodeId = parent
        item.ReferenceTypeId = reference
        item.RequestedNewNodeId = self.id(text)
        own = ua.QualifiedName(name, self.own) if isinstance(name, str) else name
        item.BrowseName = own
        attributes.DisplayName = ua.LocalizedText(own.Name)
        attributes.Description = ua.LocalizedText(description or None)
        item.NodeAttributes = attributes
        return item

    def add(self, item: ua.AddNodesItem) -> ua.NodeId:
        """Add a node as described and return its NodeId."""
        if is_instance(item):
            return self._light.add(item)
        result = self._server.node_mgt_service.add_nodes([item])[0]
        try:
            result.StatusCode.check()
        except ua.UaStatusCodeError as error:
            raise RuntimeError(f"{item.RequestedNewNodeId}: {error}") from error
        return result.AddedNodeId

    # -- instances ------------------------------------------------------------------------------

    def instantiate(
        self,
        parent: ua.NodeId,
        text: str,
        name: ua.QualifiedName | str,
        type_id: ua.NodeId,
        wanted: Wanted = NOTHING,
        reference: ua.NodeId = HAS_COMPONENT,
        notifies: bool = False,
    ) -> ua.NodeId:
        """Add an object of a type with its mandatory parts and the optional ones named in `wanted`.

        KeyError names a wanted part that the type does not declare.
        """
        node_id = self.add_object(parent, text, name, type_id, reference, notifies=notifies)
        self._add_parts(node_id, text, [], type_id, wanted)
        return node_id

    def _add_parts(
        self,
        node_id: ua.NodeId,
        text: str,
        declarations: list[ua.NodeId],
        type_id: ua.NodeId | None,
        wanted: Wanted,
    ) -> None:
        parts = self._declared(tuple(declarations), type_id)
        missing = set(wanted) - {name for _, name in parts}
        if missing:
            raise KeyError(f"{text}: its type declares no {', '.join(sorted(missing))}")
        for (index, name), (kind, sources) in parts.items():
            if name in wanted or any(self._rule(each) == MANDATORY for each in sources):
                browse_name = ua.QualifiedName(name, index)
                below = wanted.get(name, NOTHING)
                self._add_part(node_id, f"{text}.{name}", browse_name, kind, sources, below)

    def _find_declared(
        self, declarations: tuple[ua.NodeId, ...], type_id: ua.NodeId | None
    ) -> dict[tuple[int, str], tuple[ua.NodeId, list[ua.NodeId]]]:
        """Return every part by name: its reference, and its declarations, the most special first."""
        found: dict[tuple[int, str], tuple[ua.NodeId, list[ua.NodeId]]] = {}
        for owner in [*declarations, *self._with_supertypes(type_id)]:
            for reference in self.nodes[owner].references:
                target = reference.NodeId
                rule = self._rule(target) if reference.IsForward else None
                if reference.NodeClass in _INSTANCES and rule in (MANDATORY, OPTIONAL):
                    name = reference.BrowseName
                    entry = found.setdefault(
                        (name.NamespaceIndex, name.Name), (reference.ReferenceTypeId, [])
                    )
                    if target not in entry[1]:
                        entry[1].append(target)
        return found

    def _with_supertypes(self, type_id: ua.NodeId | None) -> Iterator[ua.NodeId]:
        while type_id is not None:
            yield type_id
            above = [
                each.NodeId
                for each in self.nodes[type_id].references
                if each.ReferenceTypeId == HAS_SUBTYPE and not each.IsForward
            ]
            type_id = above[0] if above else None

    def _rule(self, node_id: ua.NodeId) -> ua.NodeId | None:
        return self._target(node_id, HAS_RULE)

    def _target(self, node_id: ua.NodeId, kind: ua.NodeId) -> ua.NodeId | None:
        for each in self.nodes[node_id].references:
            if each.ReferenceTypeId == kind and each.IsForward:
                return each.NodeId
        return None

    def _add_part(
        self,
        parent: ua.NodeId,
        text: str,
        name: ua.QualifiedName,
        kind: ua.NodeId,
        sources: list[ua.NodeId],
        wanted: Wanted,
    ) -> None:
        declared = self.nodes[sources[0]]
        node_class = self._class(declared)
        item = ua.AddNodesItem()
        item.NodeClass = node_class
        item.ParentNodeId, item.ReferenceTypeId = parent, kind
        item.RequestedNewNodeId, item.BrowseName = self.id(text), name
        type_id = self._target(sources[0], HAS_TYPE)
        item.NodeAttributes = _copied_attributes(declared, node_class)
        if type_id is not None:
            item.TypeDefinition = type_id
        node_id = self.add(item)
        if node_class == ua.NodeClass.Method:
            self._copy_arguments(node_id, text, sources)
        else:
            self._add_parts(node_id, text, sources, type_id, wanted)

    def _copy_arguments(self, method: ua.NodeId, text: str, sources: list[ua.NodeId]) -> None:
        """A method's arguments are listed by its first declaration that has any."""
        for name in ("InputArguments", "OutputArguments"):
            for source in sources:
                found = [
                    each.NodeId
                    for each in self.nodes[source].references
                    if each.IsForward and each.BrowseName.Name == name
                ]
                if found:
                    value = self.value(found[0]).value.Value
                    browse_name = ua.QualifiedName(name, 0)
                    kind = ua.NodeId(Ids.Argument)
                    self.add_property(method, f"{text}.{name}", browse_name, value, data_type=kind)
                    break

    def input_arguments(self, method: ua.NodeId) -> tuple[ua.Argument, ...]:
        """Return a method's input arguments."""
        for each in self.nodes[method].references:
            if each.IsForward and each.BrowseName.Name == "InputArguments":
                return tuple(self.value(each.NodeId).value.Value.Value or ())
        return ()


_TYPES = (
    ua.NodeClass.ObjectType,
    ua.NodeClass.VariableType,
    ua.NodeClass.DataType,
    ua.NodeClass.ReferenceType,
)
_INSTANCES = (ua.NodeClass.Object, ua.NodeClass.Variable, ua.NodeClass.Method)


def _copied_attributes(declared: NodeData, node_class: ua.NodeClass) -> Any:
    def of(attribute: ua.AttributeIds) -> Any:
        held = declared.attributes.get(attribute)
        return held.value.Value.Value if held is not None and held.value is not None else None

    if node_class == ua.NodeClass.Variable:
        attributes: Any = ua.VariableAttributes()
        attributes.DataType = of(Attribute.DataType)
        attributes.ValueRank = of(Attribute.ValueRank)
        attributes.ArrayDimensions = of(Attribute.ArrayDimensions)
        attributes.Value = declared.attributes[Attribute.Value].value.Value
    elif node_class == ua.NodeClass.Method:
        attributes = ua.MethodAttributes(Executable=True, UserExecutable=True)
    else:
        attributes = ua.ObjectAttributes()
        attributes.EventNotifier = of(Attribute.EventNotifier) or 0
    attributes.DisplayName = of(Attribute.DisplayName)
    attributes.Description = of(Attribute.Description) or ua.LocalizedText()
    return attributes
