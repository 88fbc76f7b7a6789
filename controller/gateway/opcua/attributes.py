"""Read, Write and Call (OPC UA part 4, 5.11 and 5.12), each checked against the user's roles."""

import dataclasses
import datetime
from typing import Any

from asyncua import ua
from asyncua.server.address_space import AddressSpace, AttributeValue

from controller.gateway.opcua.audit import AuditLog
from controller.gateway.opcua.registry import Call, Method, Refused, Registry
from controller.gateway.opcua.sessions import Session
from controller.gateway.opcua.users import Role

Status = ua.StatusCodes
_ATTRIBUTES = frozenset(int(each) for each in ua.AttributeIds)
_USER_ATTRIBUTES = (ua.AttributeIds.UserAccessLevel, ua.AttributeIds.UserExecutable)
_WRITE = ua.AccessLevel.CurrentWrite.mask


def bad(status: int) -> ua.DataValue:
    """Return a DataValue that is nothing but a status."""
    return ua.DataValue(StatusCode=ua.StatusCode(status))


class Attributes:
    """Serves attributes of an asyncua address space to sessions."""

    def __init__(self, space: AddressSpace, registry: Registry, audit: AuditLog) -> None:
        self.space = space
        self.registry = registry
        self.audit = audit

    def find(self, session: Session, item: Any) -> AttributeValue:
        """Return the attribute a ReadValueId names; UaStatusCodeError where there is none for him."""
        node = self.space.get(item.NodeId)
        if node is None:
            raise ua.UaStatusCodeError(Status.BadNodeIdUnknown)
        attribute = node.attributes.get(item.AttributeId)
        if attribute is None:
            raise ua.UaStatusCodeError(Status.BadAttributeIdInvalid)
        if item.AttributeId == ua.AttributeIds.Value:
            readers = self.registry.readers.get(item.NodeId)
            if readers is not None and not readers & _roles(session):
                raise ua.UaStatusCodeError(Status.BadUserAccessDenied)
        elif item.DataEncoding and item.DataEncoding.Name:
            raise ua.UaStatusCodeError(Status.BadDataEncodingInvalid)
        if item.DataEncoding and item.DataEncoding.Name not in (None, "", "Default Binary"):
            raise ua.UaStatusCodeError(Status.BadDataEncodingUnsupported)
        return attribute

    def read(self, session: Session, item: Any, timestamps: Any) -> ua.DataValue:
        """Read one attribute."""
        if item.AttributeId in _USER_ATTRIBUTES and item.NodeId in self.space:
            return self._user_attribute(session, item)
        try:
            attribute = self.find(session, item)
            value = _value_of(attribute, item)
            if item.IndexRange:
                value = dataclasses.replace(value, Value=cut(value.Value, item.IndexRange))
        except ua.UaStatusCodeError as error:
            return bad(error.code)
        return _with_timestamps(value, item.AttributeId == ua.AttributeIds.Value, timestamps)

    def _user_attribute(self, session: Session, item: Any) -> ua.DataValue:
        attributes = self.space[item.NodeId].attributes
        if item.AttributeId == ua.AttributeIds.UserExecutable:
            if ua.AttributeIds.Executable not in attributes:
                return bad(Status.BadAttributeIdInvalid)
            allowed = bool(self.registry.callers(item.NodeId) & _roles(session))
            return ua.DataValue(ua.Variant(allowed, ua.VariantType.Boolean))
        level = attributes.get(ua.AttributeIds.AccessLevel)
        if level is None:
            return bad(Status.BadAttributeIdInvalid)
        mask = int(level.value.Value.Value)
        rule = self.registry.writables.get(item.NodeId)
        if rule is None or not rule.roles & _roles(session):
            mask &= ~_WRITE
        return ua.DataValue(ua.Variant(mask, ua.VariantType.Byte))

    def write(self, session: Session, item: Any) -> ua.StatusCode:
        """Write one attribute, or say exactly why not."""
        try:
            self._write(session, item)
        except (ua.UaStatusCodeError, Refused) as error:
            status = error.status if isinstance(error, Refused) else error.code
            self._audit(session, "write", str(item.NodeId), ua.StatusCode(status).name)
            return ua.StatusCode(status)
        self._audit(session, "write", str(item.NodeId), "Good", value=str(item.Value.Value.Value))
        return ua.StatusCode()

    def _write(self, session: Session, item: Any) -> None:
        node = self.space.get(item.NodeId)
        if node is None:
            raise Refused(Status.BadNodeIdUnknown)
        if item.AttributeId not in node.attributes:
            raise Refused(Status.BadAttributeIdInvalid)
        rule = self.registry.writables.get(item.NodeId)
        if item.AttributeId != ua.AttributeIds.Value or rule is None:
            raise Refused(Status.BadNotWritable)
        if not rule.roles & _roles(session):
            raise Refused(Status.BadUserAccessDenied)
        value = item.Value
        has_status = value.StatusCode is not None and value.StatusCode.value != 0
        if item.IndexRange or has_status or value.SourceTimestamp or value.ServerTimestamp:
            raise Refused(Status.BadWriteNotSupported)
        present = node.attributes[ua.AttributeIds.Value].value.Value
        sent = value.Value
        if (
            sent is None
            or sent.VariantType != present.VariantType
            or sent.is_array != present.is_array
        ):
            raise Refused(Status.BadTypeMismatch)
        rule.handler(session, sent)

    async def call(self, session: Session, request: ua.CallMethodRequest) -> ua.CallMethodResult:
        """Call one method on the object it belongs to."""
        result = ua.CallMethodResult()
        name = str(request.MethodId.Identifier)
        try:
            rule = self._method(session, request)
            arguments = list(request.InputArguments or [])
            result.InputArgumentResults = [
                ua.StatusCode(0 if accepts(argument, sent) else Status.BadTypeMismatch)
                for argument, sent in zip(rule.inputs, arguments, strict=False)
            ]
            _check_arguments(rule, arguments, result.InputArgumentResults)
            values = [each.Value for each in arguments]
            call = Call(session, request.ObjectId, request.MethodId, values)
            result.OutputArguments = await rule.handler(call)
        except Refused as refused:
            result.StatusCode = ua.StatusCode(refused.status)
            result.OutputArguments = refused.outputs
            self._audit(session, "call", name, result.StatusCode.name, reason=str(refused) or None)
        else:
            if rule.audited:
                self._audit(session, "call", name, "Good", arguments=str(values))
        return result

    def _method(self, session: Session, request: ua.CallMethodRequest) -> Method:
        if request.ObjectId not in self.space:
            raise Refused(Status.BadNodeIdUnknown)
        rule = self.registry.methods.get((request.ObjectId, request.MethodId))
        if rule is None:
            node = self.space.get(request.MethodId)
            is_method = node is not None and ua.AttributeIds.Executable in node.attributes
            belongs = is_method and any(
                each.NodeId == request.MethodId for each in self.space[request.ObjectId].references
            )
            raise Refused(Status.BadNotSupported if belongs else Status.BadMethodInvalid)
        if not rule.roles & _roles(session):
            raise Refused(Status.BadUserAccessDenied)
        return rule

    def _audit(self, session: Session, action: str, target: str, status: str, **more: Any) -> None:
        user = session.user.name if session.user else None
        self.audit.write(
            action, user=user, source=session.source, target=target, status=status, **more
        )


def _check_arguments(rule: Method, arguments: list[Any], results: list[ua.StatusCode]) -> None:
    if len(arguments) < len(rule.inputs):
        raise Refused(Status.BadArgumentsMissing)
    if len(arguments) > len(rule.inputs):
        raise Refused(Status.BadTooManyArguments)
    if any(not each.is_good() for each in results):
        raise Refused(Status.BadInvalidArgument)


def accepts(argument: ua.Argument, sent: ua.Variant) -> bool:
    """Tell whether a variant is of an argument's type and rank."""
    if argument.ValueRank >= 1 and not sent.is_array and sent.Value is not None:
        return False
    if argument.ValueRank == -1 and sent.is_array:
        return False
    data_type = argument.DataType
    built_in = data_type.NamespaceIndex == 0 and data_type.Identifier <= 25
    if not built_in:
        return _accepts_structure(data_type, sent)
    if data_type.Identifier == ua.ObjectIds.BaseDataType:
        return True
    return sent.VariantType.value == data_type.Identifier


def _accepts_structure(data_type: ua.NodeId, sent: ua.Variant) -> bool:
    if sent.VariantType == ua.VariantType.Null:
        return True  # an absent optional array or structure
    if data_type in _ALIASES:
        return bool(sent.VariantType == _ALIASES[data_type])
    if data_type in ua.enums_by_datatype or sent.VariantType == ua.VariantType.Int32:
        return bool(sent.VariantType == ua.VariantType.Int32)
    values = sent.Value if sent.is_array else [sent.Value]
    return sent.VariantType == ua.VariantType.ExtensionObject and all(
        getattr(type(value), "data_type", None) == data_type for value in values or []
    )


_ALIASES = {
    ua.NodeId(ua.ObjectIds.UtcTime): ua.VariantType.DateTime,
    ua.NodeId(ua.ObjectIds.Duration): ua.VariantType.Double,
    ua.NodeId(ua.ObjectIds.IntegerId): ua.VariantType.UInt32,
    ua.NodeId(ua.ObjectIds.Handle): ua.VariantType.UInt32,
    ua.NodeId(ua.ObjectIds.TrimmedString): ua.VariantType.String,
}


def cut(variant: ua.Variant, text: str) -> ua.Variant:
    """Return a one-dimensional range "a" or "a:b" of an array, string or byte string (part 4, 7.27)."""
    first, _, last = text.partition(":")
    if not first.isdigit() or (last and not last.isdigit()) or len(text) > 24:
        raise ua.UaStatusCodeError(Status.BadIndexRangeInvalid)
    low, high = int(first), int(last or first)
    if last and high <= low:
        raise ua.UaStatusCodeError(Status.BadIndexRangeInvalid)
    if not isinstance(variant.Value, list | str | bytes) or low >= len(variant.Value):
        raise ua.UaStatusCodeError(Status.BadIndexRangeNoData)
    return ua.Variant(variant.Value[low : high + 1], variant.VariantType, is_array=variant.is_array)


def _value_of(attribute: AttributeValue, item: Any) -> ua.DataValue:
    if attribute.value_callback is not None:
        return attribute.value_callback(item.NodeId, item.AttributeId)
    return attribute.value or bad(Status.BadAttributeIdInvalid)


def _with_timestamps(value: ua.DataValue, is_value: bool, timestamps: Any) -> ua.DataValue:
    wants = ua.TimestampsToReturn
    source = (
        value.SourceTimestamp if timestamps in (wants.Source, wants.Both) and is_value else None
    )
    server = None
    if timestamps in (wants.Server, wants.Both):
        server = value.ServerTimestamp or datetime.datetime.now(datetime.UTC)
    return ua.DataValue(value.Value, value.StatusCode, source, server)


def _roles(session: Session) -> frozenset[Role]:
    return session.user.roles if session.user else frozenset()
