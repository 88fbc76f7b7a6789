"""The compiled cyclic code as LLVM left it: no allocation, no interpreter, no exception, no libm."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numba import njit

from controller.runtime.clock import wait_real, wait_virtual
from controller.runtime.loop import SCAN_SIGNATURE, run
from controller.station.scan import scan
from hal_sim.exchange import exchange

pytestmark = pytest.mark.skipif(
    "NUMBA_BOUNDSCHECK" in os.environ, reason="bounds checks raise: this is not the code that runs"
)

# What cyclic code may call that is not its own: the clock, moves of memory, and the square root,
# which IEEE 754 rounds correctly everywhere.
ALLOWED = {"clock_gettime", "clock_nanosleep", "memcpy", "memmove", "memset", "sqrt"}
COUNTED = "NRT_MemInfo_call_dtor"  # where a count of references could reach zero
LIBM = re.compile(r"llvm\.(sin|cos|tan|pow|powi|exp|exp2|exp10|log|log2|log10|ldexp)\b")


@dataclass
class Findings:
    """What a compiled function reaches."""

    functions: int
    calls: set[str]
    exceptions: int
    indirect_calls: int

    @property
    def forbidden(self) -> set[str]:
        """Names it may not call."""
        return {
            name
            for name in self.calls
            if name not in ALLOWED and (LIBM.match(name) or not name.startswith("llvm."))
        }


def _compiled(dispatcher: Any) -> Any:
    (result,) = dispatcher.overloads.values()
    return result


def inspect(dispatcher: Any) -> Findings:
    """Follow every call of a dispatcher's one compiled function through its final module.

    Python's own entries to it (the wrappers named cpython and cfunc) are not on the way.
    """
    result = _compiled(dispatcher)
    module = result.library._get_module_for_linking()
    functions = {function.name: function for function in module.functions}
    waiting, seen = [result.fndesc.llvm_func_name], set()
    found = Findings(0, set(), 0, 0)
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        function = functions[name]
        if function.is_declaration:
            found.calls.add(name)
            continue
        found.functions += 1
        found.exceptions += str(function).count("picklebuf")
        callees = list(_callees(function))
        waiting += [callee for callee in callees if callee in functions]
        found.indirect_calls += sum(callee not in functions for callee in callees)
    return found


def _callees(function: Any) -> Iterator[str]:
    for block in function.blocks:
        for instruction in block.instructions:
            if instruction.opcode in {"call", "invoke"}:
                yield list(instruction.operands)[-1].name


@njit(error_model="numpy")
def allocating(count):
    """A control: makes an array."""
    return np.zeros(count).sum()


@njit(error_model="numpy")
def raising(value):
    """A control: may raise."""
    if value > 3:
        raise ValueError("too large")
    return value


@njit
def dividing(value):
    """A control: Python's error model checks the divisor."""
    return 1 // value


@njit(error_model="numpy")
def printing(value):
    """A control: needs the interpreter."""
    print(value)


@njit(error_model="numpy")
def calling_libm(value):
    """A control: a transcendental of the platform."""
    return np.exp(value)


def _name(cyclic: Any) -> str:
    return str(cyclic.__name__)


@pytest.fixture(scope="module", autouse=True)
def _compiled_scan() -> None:
    if not scan.overloads:
        scan.compile(SCAN_SIGNATURE)


@pytest.mark.parametrize("cyclic", [run, scan, exchange, wait_real, wait_virtual], ids=_name)
def test_cyclic_code_allocates_nothing_and_calls_no_interpreter(cyclic: Any) -> None:
    found = inspect(cyclic)
    assert found.forbidden - {COUNTED} == set()
    assert found.exceptions == 0


@pytest.mark.parametrize(
    "cyclic",
    [run, scan, exchange, wait_real, wait_virtual],
    ids=_name,
)
def test_cyclic_code_counts_no_references(cyclic: Any) -> None:
    assert COUNTED not in inspect(cyclic).calls


def test_the_loop_calls_only_wait_exchange_and_scan_through_pointers() -> None:
    assert inspect(run).indirect_calls >= 3
    assert {"clock_gettime"} <= inspect(run).calls


@pytest.mark.parametrize(
    ("control", "argument", "name"),
    [(allocating, 3, "NRT_"), (printing, 3, "Py"), (calling_libm, 0.5, "exp")],
)
def test_the_inspection_sees_what_is_forbidden(control: Any, argument: Any, name: str) -> None:
    control(argument)
    assert any(name in called for called in inspect(control).forbidden)


@pytest.mark.parametrize("control", [raising, dividing])
def test_the_inspection_sees_exceptions(control: Any) -> None:
    control(2)
    assert inspect(control).exceptions > 0
