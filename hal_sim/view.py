"""See the context's bytes as its record, inside compiled code, without a check that could raise."""

from typing import Any

from numba import from_dtype, types
from numba.core import cgutils
from numba.extending import intrinsic

from hal_sim.layout import CONTEXT_DTYPE

_RECORD: Any = from_dtype(CONTEXT_DTYPE)


@intrinsic
def context_of(typing_context, context):
    """The CONTEXT_DTYPE record in a uint8[::1] of at least its size; it shares the memory."""

    def generate(compiler, builder, signature, arguments):
        array = cgutils.create_struct_proxy(signature.args[0])(compiler, builder, arguments[0])
        return builder.bitcast(array.data, compiler.get_value_type(_RECORD))

    if not isinstance(context, types.Array) or context.dtype != types.uint8:
        return None
    return _RECORD(context), generate
