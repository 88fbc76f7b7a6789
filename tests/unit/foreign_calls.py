"""What a compiled function calls that a cyclic kernel must not."""

import re
from typing import Any

from numba import njit


def foreign_calls(function: Any, arguments: tuple[Any, ...]) -> set[str]:
    """Calls of numba's allocator or of Python in the native code of a function and what it inlines."""
    fresh = njit(nogil=True, error_model="numpy")(function.py_func)
    fresh(*arguments)
    code = next(iter(fresh.inspect_asm().values()))
    # only the wrapper that Python calls may touch Python objects
    kernel = code.split("_ZN7cpython")[0]
    return set(re.findall(r"NRT_\w*[Aa]lloc\w*|NRT_MemInfo_new\w*|Py\w+", kernel))
