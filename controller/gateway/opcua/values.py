"""Live values: written when they changed, told to whoever watches, Bad when the core is silent."""

import datetime
import time
from typing import Any

from asyncua import ua
from asyncua.server.address_space import AttributeValue

from controller.gateway.opcua.samples import Sample

_GOOD = ua.StatusCode(ua.StatusCodes.Good)
_EMPTY = ua.Variant()


class LiveValue:
    """One variable of the model with the type it is written in."""

    __slots__ = ("_attribute", "_is_array", "_last", "_status", "_type", "from_core", "node_id")

    def __init__(
        self, node_id: ua.NodeId, attribute: AttributeValue, kind: ua.VariantType, is_array: bool
    ) -> None:
        self.node_id = node_id
        self._attribute = attribute
        self._type = kind
        self._is_array = is_array
        self._last: Any = object()
        self._status = _GOOD.value
        self.from_core = False

    def set(self, value: Any, time_: datetime.datetime, status: int = 0) -> bool:
        """Write a value if it, or its status, changed; tell whether it did.

        `time_` is when the value was acquired, not when it is written.
        """
        if status == self._status and value == self._last:
            return False
        self._last, self._status = value, status
        empty = status >= 0x80000000 or value is None
        variant = _EMPTY if empty else ua.Variant(value, self._type, is_array=self._is_array)
        self._write(
            ua.DataValue(variant, _code(status), time_, datetime.datetime.now(datetime.UTC))
        )
        return True

    def spoil(self, status: int, time_: datetime.datetime) -> None:
        """Turn the value Bad."""
        self.set(None, time_, status)

    def _write(self, value: ua.DataValue) -> None:
        self._attribute.value = value
        watchers = self._attribute.datachange_callbacks
        if watchers:
            sample, now_s = Sample(value), time.monotonic()
            for watcher in watchers.values():
                watcher.take(sample, now_s)


_codes: dict[int, ua.StatusCode] = {0: _GOOD}


def _code(status: int) -> ua.StatusCode:
    if status not in _codes:
        _codes[status] = ua.StatusCode(status)
    return _codes[status]
