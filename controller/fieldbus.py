"""The core's slow path to its EtherCAT bus: up before the loop, kept up beside it, down after."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from controller.child import StartRefused
from drivers.ethercat.bring_up import Bus
from drivers.ethercat.protocol import AlState
from drivers.ethercat.topology import Topology, TopologyError

OPERATIONAL_S_MAX = 20.0
QUIET_S = 10.0


class LineBus(Bus):
    """A bus as the core needs it: what cannot be is a refused start, with the driver's own words."""

    def __init__(self, topology: Topology) -> None:
        super().__init__(topology)
        self._told_s: dict[str, float] = {}

    def request_operational(self, timeout_s: float = OPERATIONAL_S_MAX) -> None:
        """Ask for OP while the loop runs."""
        with _refusing():
            super().request_operational(timeout_s)

    def restore(self) -> list[str]:
        """One pass of the slow path, whose failure is no reason to end the loop.

        Returns what was done and what failed, in words; the same words not again for a while.
        """
        try:
            done = super().restore()
        except Exception as error:
            done = [f"{self.topology.interface}: slow path: {error!r}"]
        now_s = time.monotonic()
        fresh = [line for line in done if now_s - self._told_s.get(line, -QUIET_S) >= QUIET_S]
        self._told_s |= dict.fromkeys(fresh, now_s)
        return fresh


@contextmanager
def bus_on_line(topology: Topology, say: Callable[[str], None]) -> Iterator[LineBus]:
    """Bring every slave to SAFE-OP, and back to INIT at the end; StartRefused says what is wrong."""
    with _refusing():
        bus = LineBus(topology)
    with bus:
        with _refusing():
            bus.bring_up()
        say(f"{topology.interface}: {len(topology.slaves)} slaves in {AlState.SAFEOP.name}")
        yield bus


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except TopologyError as error:
        raise StartRefused(str(error)) from None


def bus_result(bus: Bus) -> dict[str, Any]:
    """Return what the exchange counted, as plain JSON values."""
    names = ("cycles", "frames_lost", "frames_late", "frames_stale", "frames_malformed",
             "working_counter_errors", "misses_in_a_row_max")  # fmt: skip
    return {"bus": {name: int(bus.link[name]) for name in names}}
