"""A value on its way to many clients: encoded once for all of them.

This is what makes the server fast: a change that a hundred monitored items report is encoded once, and
their notifications are joined from those bytes (OPC UA part 6, 5.2.2.17).
"""

import struct
from typing import Any

from asyncua import ua
from asyncua.ua import ua_binary
from asyncua.ua.ua_binary import struct_to_binary, variant_to_binary

_HANDLE = struct.Struct("<I")
_OVERFLOW = 0x480  # info type DataValue, overflow bit (part 4, 7.39.1)
_DOUBLE = struct.Struct("<BBd")
Timestamps = ua.TimestampsToReturn
_SOURCE = (Timestamps.Source, Timestamps.Both)
_SERVER = (Timestamps.Server, Timestamps.Both)


class Sample:
    """A DataValue with its binary forms, one for each choice of time stamps."""

    __slots__ = ("_binary", "value")

    def __init__(self, value: ua.DataValue) -> None:
        self.value = value
        self._binary: dict[Any, bytes] = {}

    def binary(self, timestamps: Any, overflow: bool = False) -> bytes:
        """Return the encoded DataValue."""
        if overflow:
            return encode(self.value, timestamps, _OVERFLOW)
        data = self._binary.get(timestamps)
        if data is None:
            data = self._binary[timestamps] = encode(self.value, timestamps, 0)
        return data


def encode(value: ua.DataValue, timestamps: Any, info_bits: int) -> bytes:
    """Encode a DataValue with the time stamps a client wants."""
    mask, parts = 0, []
    variant = value.Value
    if variant is not None and variant.VariantType != ua.VariantType.Null:
        mask |= 0x01
        parts.append(variant_to_binary(variant))
    status = (value.StatusCode.value if value.StatusCode else 0) | info_bits
    if status:
        mask |= 0x02
        parts.append(_HANDLE.pack(status))
    if timestamps in _SOURCE and value.SourceTimestamp is not None:
        mask |= 0x04
        parts.append(pack_time(value.SourceTimestamp))
    if timestamps in _SERVER and value.ServerTimestamp is not None:
        mask |= 0x08
        parts.append(pack_time(value.ServerTimestamp))
    return bytes((mask,)) + b"".join(parts)


_last_time: tuple[Any, bytes] = (None, b"")


def pack_time(time: Any) -> bytes:
    """Encode a time stamp; all values of one snapshot share theirs."""
    global _last_time  # noqa: PLW0603 (one entry of cache)
    if _last_time[0] is not time:
        _last_time = (time, ua_binary.Primitives.DateTime.pack(time))
    return _last_time[1]


def data_change(items: list[tuple[int, bytes]]) -> bytes:
    """Return a DataChangeNotification in its ExtensionObject; items are (client handle, value)."""
    body = bytearray(_HANDLE.pack(len(items)))
    for handle, value in items:
        body += _HANDLE.pack(handle)
        body += value
    body += b"\xff\xff\xff\xff"  # no diagnostics
    return _extension(ua.ObjectIds.DataChangeNotification_Encoding_DefaultBinary, bytes(body))


def event_list(items: list[tuple[int, list[ua.Variant]]]) -> bytes:
    """Return an EventNotificationList in its ExtensionObject; items are (client handle, fields)."""
    parts = [_HANDLE.pack(len(items))]
    for handle, fields in items:
        parts += [_HANDLE.pack(handle), _HANDLE.pack(len(fields)), *map(variant_to_binary, fields)]
    return _extension(ua.ObjectIds.EventNotificationList_Encoding_DefaultBinary, b"".join(parts))


def status_change(status: int) -> bytes:
    """Return a StatusChangeNotification in its ExtensionObject."""
    notification = ua.StatusChangeNotification(Status=ua.StatusCode(status))
    kind = ua.ObjectIds.StatusChangeNotification_Encoding_DefaultBinary
    return _extension(kind, struct_to_binary(notification))


def notification_message(sequence: int, time: Any, notifications: list[bytes]) -> bytes:
    """Return an encoded NotificationMessage, as it is sent and kept for Republish."""
    head = _HANDLE.pack(sequence) + ua_binary.Primitives.DateTime.pack(time)
    return head + _HANDLE.pack(len(notifications)) + b"".join(notifications)


def publish_response(
    request_handle: int,
    time: Any,
    subscription_id: int,
    available: list[int],
    more: bool,
    message: bytes,
    results: list[int],
) -> bytes:
    """Return an encoded PublishResponse (part 4, 5.14.5)."""
    parts = [
        _type_id(ua.ObjectIds.PublishResponse_Encoding_DefaultBinary),
        response_header(request_handle, time),
        _HANDLE.pack(subscription_id),
        struct.pack(f"<i{len(available)}I", len(available), *available),
        b"\x01" if more else b"\x00",
        message,
        struct.pack(f"<i{len(results)}I", len(results), *results),
        b"\xff\xff\xff\xff",
    ]
    return b"".join(parts)


def republish_response(request_handle: int, time: Any, message: bytes) -> bytes:
    """Return an encoded RepublishResponse."""
    kind = _type_id(ua.ObjectIds.RepublishResponse_Encoding_DefaultBinary)
    return kind + response_header(request_handle, time) + message


def response_header(request_handle: int, time: Any) -> bytes:
    """Return an encoded good ResponseHeader without diagnostics, strings or additional header."""
    head = ua_binary.Primitives.DateTime.pack(time) + _HANDLE.pack(request_handle)
    return head + b"\x00\x00\x00\x00" + b"\x00" + b"\xff\xff\xff\xff" + b"\x00\x00\x00"


def _type_id(identifier: int) -> bytes:
    return struct.pack("<BBH", 1, 0, identifier)


def _extension(identifier: int, body: bytes) -> bytes:
    return _type_id(identifier) + b"\x01" + _HANDLE.pack(len(body)) + body
