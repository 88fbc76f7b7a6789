"""Words at an address, with acquire and release: what plain stores cannot promise another process."""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_WORD = ir.IntType(64)
_WORD_BYTES = 8


def _pointer(builder: Any, address: Any) -> Any:
    return builder.inttoptr(address, _WORD.as_pointer())


@intrinsic
def address_of(typing_context: Any, record: Any) -> Any:
    """Return the address of a record; whoever owns its array must keep it alive."""
    if not isinstance(record, types.Record):
        return None

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ptrtoint(args[0], _WORD)

    return types.uint64(record), generate


@intrinsic
def load_word(typing_context: Any, address: Any) -> Any:
    """Return the 64-bit word at an address, in no particular order."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load(_pointer(builder, args[0]), typ=_WORD)

    return types.uint64(types.uint64), generate


@intrinsic
def store_word(typing_context: Any, address: Any, word: Any) -> Any:
    """Store a 64-bit word at an address, in no particular order."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store(args[1], _pointer(builder, args[0]))
        return context.get_dummy_value()

    return types.void(types.uint64, types.uint64), generate


@intrinsic
def load_acquire(typing_context: Any, address: Any) -> Any:
    """Return the word at an address; what follows is read after it."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _pointer(builder, args[0])
        return builder.load_atomic(pointer, "acquire", _WORD_BYTES, typ=_WORD)

    return types.uint64(types.uint64), generate


@intrinsic
def store_release(typing_context: Any, address: Any, word: Any) -> Any:
    """Store a word at an address; what precedes was written before it."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store_atomic(args[1], _pointer(builder, args[0]), "release", _WORD_BYTES)
        return context.get_dummy_value()

    return types.void(types.uint64, types.uint64), generate


@intrinsic
def fence_release(typing_context: Any) -> Any:
    """Keep every later store behind everything written before."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.fence("release")
        return context.get_dummy_value()

    return types.void(), generate
