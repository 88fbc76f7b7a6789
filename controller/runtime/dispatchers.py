"""Watch numba compile, and forbid it: the core compiles nothing once its machine may run."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from numba.core import event
from numba.core.registry import CPUDispatcher

PACKAGES = ("controller", "drivers", "hal_sim", "motion")


class _Listener(event.Listener):
    def __init__(self, compiled: Callable[[str], None]) -> None:
        self._compiled = compiled

    def on_start(self, event: Any) -> None:
        self._compiled(event.data["dispatcher"].__name__)

    def on_end(self, event: Any) -> None:
        pass


@contextmanager
def compilations(compiled: Callable[[str], None]) -> Iterator[None]:
    """Call `compiled` with the name of each function that is compiled in this context."""
    with event.install_listener("numba:compile", _Listener(compiled)):
        yield


def forbid_compilation() -> int:
    """Forbid every dispatcher that Python may call to compile again; return how many there are.

    One without signatures was only ever compiled into its callers.
    """
    dispatchers = {id(found): found for found in _dispatchers() if found.signatures}
    for dispatcher in dispatchers.values():
        dispatcher.disable_compile()
    return len(dispatchers)


def _dispatchers() -> Iterator[Any]:
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] in PACKAGES:
            yield from (v for v in vars(module).values() if isinstance(v, CPUDispatcher))
