"""The seam: the one compiled signature behind which hardware, simulator and replay stand.

`exchange(image, context) -> code` takes the outputs of the image, fills its inputs and returns an
ExchangeCode. `context` is `uint8[::1]`, which each backend views as a dtype of its own. The exchange sets
neither `time_ns` nor `cycle`: time reaches inputs from the host.
"""

from enum import IntEnum
from typing import Any

from numba import from_dtype, types

from drivers.image import IMAGE_DTYPE


class ExchangeCode(IntEnum):
    """What became of one exchange."""

    OK = 0
    MISSED = 1  # no fresh inputs: the last good ones are held and counted
    FAILED = 2  # the backend cannot go on


IMAGE_TYPE: Any = from_dtype(IMAGE_DTYPE)
CONTEXT_TYPE: Any = types.Array(types.uint8, 1, "C")
EXCHANGE_SIGNATURE: Any = types.int64(IMAGE_TYPE, CONTEXT_TYPE)
EXCHANGE_TYPE: Any = types.FunctionType(EXCHANGE_SIGNATURE)
