"""Every Modbus fault through poller, mailbox and scan: alarm, reaction and way back.

Each fault is met twice: on a real socket, to see what our poller makes of it, and then the same readings, or
the same silence, come to a machine that stacks in virtual time.
"""

import asyncio
from dataclasses import dataclass, replace

import pytest

from controller.shared.alarms import AlarmId
from controller.shared.commands import CommandCode, CommandResult
from controller.shared.layout import ReadingChannel
from controller.shared.packml import State
from controller.simulate import Simulation
from drivers.image import ReadingQuality
from drivers.modbus.reading import Reading
from hal_sim.modbus.server import ModbusFault
from tests.wire.test_modbus_devices import Polled, until
from tests.wire.wired_machine import new_simulation

SEED = 1
TENSION_N = 3.0
POLL_S = 0.01
STALE_S = 0.5
ROUNDS = 6  # failures or readings seen before the outcome is believed


@dataclass(frozen=True)
class Expected:
    """What the poller makes of a fault, and what the machine does with that."""

    fault: ModbusFault
    outcome: ReadingQuality  # NONE: silence
    holds: bool = True


SILENCE, FAILED, GOOD = ReadingQuality.NONE, ReadingQuality.FAILED, ReadingQuality.GOOD
TABLE = (
    Expected(ModbusFault.TIMEOUT, SILENCE),
    Expected(ModbusFault.SHORT_FRAME, SILENCE),
    Expected(ModbusFault.EXCEPTION, SILENCE),
    Expected(ModbusFault.WRONG_TRANSACTION, SILENCE),
    Expected(ModbusFault.FROZEN, FAILED),
    Expected(ModbusFault.RECONNECT_STORM, GOOD, holds=False),
)


def outcome_of(fault: ModbusFault) -> list[Reading]:
    """What our poller publishes of a load cell that has this fault; nothing where it falls silent."""
    seen: list[Reading] = []

    async def story(polled: Polled) -> None:
        good = await polled.next_reading()
        polled.server.fault = fault
        poller = polled.poller
        failures = poller.counters.failures
        if fault is ModbusFault.FROZEN:
            await polled.next_reading(ReadingQuality.FAILED)
            seen.append(polled.last)
        elif fault is ModbusFault.RECONNECT_STORM:
            seen.append(await polled.next_reading())
        else:
            await until(lambda: poller.counters.failures > failures + 1, "failures")
            last = len(polled.readings)
            await until(lambda: poller.counters.failures > failures + ROUNDS, "more of them")
            seen.extend(polled.readings[last:])
        assert good.quality == GOOD

    asyncio.run(Polled("load_cell", {"tension": TENSION_N}, heartbeat_limit_s=0.1).run(story))
    return seen


class Line:
    """A machine that stacks, its load cell read by the io process."""

    def __init__(self) -> None:
        self.simulation: Simulation = new_simulation(SEED)
        self.simulation.reset()
        self.order(CommandCode.START)
        self.read(3.0, [GOOD_READING])
        assert self.simulation.state == State.EXECUTE

    def order(self, code: CommandCode) -> None:
        assert self.simulation.command(code) == CommandResult.ACCEPTED, self.simulation.where()

    def read(self, seconds: float, readings: list[Reading]) -> None:
        """Go on for a while; the io process publishes these readings, over and over, as they are polled."""
        for poll in range(round(seconds / POLL_S)):
            if readings:
                now_ns = int(self.simulation.machine.loop[0]["deadline_ns"])
                fresh = replace(readings[poll % len(readings)], captured_ns=now_ns)
                self.simulation.view.publish_reading(0, ReadingChannel.TENSION, fresh.record())
            self.simulation.run(POLL_S)

    @property
    def stale(self) -> bool:
        alarms = self.simulation.station()["status"]["alarms"]
        return bool(alarms[AlarmId.READING_STALE])


GOOD_READING = Reading(0, "TENSION", 0, (TENSION_N,), GOOD)


@pytest.fixture(scope="module")
def kept() -> tuple[Line, list[object]]:
    line = Line()
    return line, line.simulation.save()


@pytest.mark.parametrize("expected", TABLE, ids=lambda e: e.fault.name)
def test_a_fault_of_the_load_cell(kept: tuple[Line, list[object]], expected: Expected) -> None:
    published = outcome_of(expected.fault)
    assert {reading.quality for reading in published} == ({expected.outcome} - {SILENCE})
    line, before = kept
    line.simulation.restore(before)
    line.read(STALE_S - 0.05, published)
    assert not line.stale and line.simulation.state == State.EXECUTE, "a pause is no fault"
    line.read(0.1, published)
    assert line.stale == expected.holds
    tension_n = line.simulation.machine.image[0]["inputs"]["stations"][0]["tension_n"]
    assert tension_n == TENSION_N, "the last good value is held"
    if expected.holds:
        assert line.simulation.state in (State.HOLDING, State.HELD)
        line.read(2.0, [GOOD_READING])
        assert line.simulation.state == State.HELD, "nobody starts it but the operator"
        line.order(CommandCode.UNHOLD)
    sheets = int(line.simulation.station()["status"]["sheets_total"])
    line.read(2.0, [GOOD_READING])
    assert line.simulation.state == State.EXECUTE and not line.stale
    assert int(line.simulation.station()["status"]["sheets_total"]) > sheets
