"""Call a first-class function straight through its pointer."""

from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


@intrinsic
def call(typing_context: Any, function: Any, *arguments: Any) -> Any:
    """Call a function of a FunctionType and return its result; the function must be compiled.

    numba's own call would fall back to the interpreter where the pointer is missing, and so carry the
    interpreter's lock into the loop.
    """
    if not isinstance(function, types.FunctionType):
        return None
    called = function.signature
    given = types.StarArgTuple(arguments)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = cgutils.create_struct_proxy(function)(context, builder, value=args[0]).jit_addr
        kind = context.call_conv.get_function_type(called.return_type, called.args)
        target = builder.bitcast(pointer, kind.as_pointer())
        values = cgutils.unpack_tuple(builder, args[1])
        cast = [
            context.cast(builder, value, had, wanted)
            for value, had, wanted in zip(values, given.types, called.args, strict=True)
        ]
        convention = context.call_conv
        status, result = convention.call_function(
            builder, target, called.return_type, called.args, cast
        )
        # Only code compiled with bounds checks comes back with an error; it must not be lost.
        with cgutils.if_unlikely(builder, status.is_error):
            convention.return_status_propagate(builder, status)
        return result

    return called.return_type(function, given), generate
