"""The view services (OPC UA part 4, 5.8): Browse with continuation points, and TranslateBrowsePaths."""

import secrets
from collections.abc import Iterator
from functools import cache
from typing import Any

from asyncua import ua
from asyncua.server.address_space import AddressSpace

from controller.gateway.opcua import limits
from controller.gateway.opcua.sessions import Session

Status = ua.StatusCodes
Direction = ua.BrowseDirection
Mask = ua.BrowseResultMask
_HAS_SUBTYPE = ua.NodeId(ua.ObjectIds.HasSubtype)
_HAS_PROPERTY = ua.NodeId(ua.ObjectIds.HasProperty)
_REFERENCES = ua.NodeId(ua.ObjectIds.References)


class Browsing:
    """Walks an asyncua address space for sessions."""

    def __init__(self, space: AddressSpace) -> None:
        self.space = space
        self.subtypes = cache(self._subtypes)

    def _subtypes(self, type_id: ua.NodeId) -> frozenset[ua.NodeId]:
        found = {type_id}
        node = self.space.get(type_id)
        for reference in node.references if node is not None else ():
            if reference.ReferenceTypeId == _HAS_SUBTYPE and reference.IsForward:
                found |= self.subtypes(reference.NodeId)
        return frozenset(found)

    def is_subtype(self, type_id: ua.NodeId, base: ua.NodeId) -> bool:
        """Tell whether a type is another or derived from it."""
        return type_id in self.subtypes(base)

    def property_of(self, node_id: ua.NodeId, name: str) -> Any:
        """Return the value of a node's property, None where it has none of this name."""
        for reference in self.space[node_id].references:
            if reference.ReferenceTypeId == _HAS_PROPERTY and reference.BrowseName.Name == name:
                held = self.space[reference.NodeId].attributes[ua.AttributeIds.Value].value
                return held.Value.Value if held is not None else None
        return None

    def browse(self, session: Session, wanted: Any, references_max: int) -> ua.BrowseResult:
        """Browse one node; what does not fit waits behind a continuation point."""
        result = ua.BrowseResult()
        result.StatusCode = ua.StatusCode(self._check(wanted))
        if not result.StatusCode.is_good():
            return result
        found = list(self._suitable(wanted))
        size = min(references_max or limits.REFERENCES_MAX, limits.REFERENCES_MAX)
        return self._page(session, found, size)

    def browse_next(self, session: Session, point: bytes, release: bool) -> ua.BrowseResult:
        """Go on at a continuation point, or give it back."""
        result = ua.BrowseResult()
        waiting = session.continuation_points.pop(point or b"", None)
        if waiting is None or not isinstance(waiting, tuple):
            result.StatusCode = ua.StatusCode(Status.BadContinuationPointInvalid)
            return result
        return result if release else self._page(session, *waiting)

    def _page(self, session: Session, found: list[Any], size: int) -> ua.BrowseResult:
        result = ua.BrowseResult()
        if len(found) > size:
            if len(session.continuation_points) >= limits.CONTINUATION_POINTS_MAX:
                result.StatusCode = ua.StatusCode(Status.BadNoContinuationPoints)
                return result
            result.ContinuationPoint = secrets.token_bytes(16)
            session.continuation_points[result.ContinuationPoint] = (found[size:], size)
        result.References = found[:size]
        return result

    def _check(self, wanted: Any) -> int:
        if wanted.NodeId not in self.space:
            return int(Status.BadNodeIdUnknown)
        if wanted.BrowseDirection not in (Direction.Forward, Direction.Inverse, Direction.Both):
            return int(Status.BadBrowseDirectionInvalid)
        kind = wanted.ReferenceTypeId
        if not kind.is_null() and kind not in self.subtypes(_REFERENCES):
            return int(Status.BadReferenceTypeIdInvalid)
        return 0

    def _suitable(self, wanted: Any) -> Iterator[ua.ReferenceDescription]:
        kinds = self._kinds(wanted.ReferenceTypeId, wanted.IncludeSubtypes)
        mask = int(wanted.ResultMask)
        for reference in self.space[wanted.NodeId].references:
            one_way = wanted.BrowseDirection != Direction.Both
            if one_way and reference.IsForward != (wanted.BrowseDirection == Direction.Forward):
                continue
            if kinds is not None and reference.ReferenceTypeId not in kinds:
                continue
            if wanted.NodeClassMask and not wanted.NodeClassMask & int(reference.NodeClass):
                continue
            yield reference if mask & 0x3F == 0x3F else _masked(reference, mask)

    def _kinds(self, kind: ua.NodeId, include_subtypes: bool) -> frozenset[ua.NodeId] | None:
        if kind.is_null():
            return None
        return self.subtypes(kind) if include_subtypes else frozenset({kind})

    def translate(self, path: Any) -> ua.BrowsePathResult:
        """Follow one browse path."""
        result = ua.BrowsePathResult()
        elements = path.RelativePath.Elements or []
        if path.StartingNode not in self.space:
            result.StatusCode = ua.StatusCode(Status.BadNodeIdUnknown)
        elif not elements:
            result.StatusCode = ua.StatusCode(Status.BadNothingToDo)
        elif len(elements) > limits.PATH_ELEMENTS_MAX:
            result.StatusCode = ua.StatusCode(Status.BadTooManyOperations)
        elif not elements[-1].TargetName or not elements[-1].TargetName.Name:
            result.StatusCode = ua.StatusCode(Status.BadBrowseNameInvalid)
        else:
            self._follow(path.StartingNode, elements, result)
        return result

    def _follow(self, start: ua.NodeId, elements: list[Any], result: ua.BrowsePathResult) -> None:
        nodes = {start: None}
        for element in elements:
            nodes = {target: None for node in nodes for target in self._step(node, element)}
        if not nodes:
            result.StatusCode = ua.StatusCode(Status.BadNoMatch)
        for node in list(nodes)[: limits.REFERENCES_MAX]:
            target = ua.BrowsePathTarget()
            target.TargetId = ua.ExpandedNodeId(
                node.Identifier, node.NamespaceIndex, node.NodeIdType
            )
            target.RemainingPathIndex = 0xFFFFFFFF
            result.Targets.append(target)

    def _step(self, node_id: ua.NodeId, element: Any) -> Iterator[ua.NodeId]:
        kinds = self._kinds(element.ReferenceTypeId, element.IncludeSubtypes)
        node = self.space.get(node_id)
        for reference in node.references if node is not None else ():
            named = reference.BrowseName == element.TargetName
            directed = reference.IsForward != element.IsInverse
            if named and directed and (kinds is None or reference.ReferenceTypeId in kinds):
                yield reference.NodeId


def _masked(reference: ua.ReferenceDescription, mask: int) -> ua.ReferenceDescription:
    cut = ua.ReferenceDescription(NodeId=reference.NodeId)
    cut.IsForward = reference.IsForward if mask & Mask.IsForward else False
    for bit, name in (
        (Mask.ReferenceTypeId, "ReferenceTypeId"),
        (Mask.NodeClass, "NodeClass"),
        (Mask.BrowseName, "BrowseName"),
        (Mask.DisplayName, "DisplayName"),
        (Mask.TypeDefinition, "TypeDefinition"),
    ):
        if mask & bit:
            setattr(cut, name, getattr(reference, name))
    return cut
