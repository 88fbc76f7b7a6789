"""Every Modbus fault of a camera through server, poller, mailbox and scan: alarm, reaction and way back.

The machine stacks over the bus in virtual time; one of its cameras hangs on a real socket, read by what the
io process runs. Virtual and real time meet cycle by cycle, so a slow computer changes no outcome.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from controller.io_process import Devices
from controller.shared.alarms import AlarmId
from controller.shared.commands import CommandCode
from controller.shared.layout import ProcessId, ReadingChannel
from controller.shared.packml import State
from controller.shared.view import SharedView
from drivers.devices.registry import MODBUS_DEVICES
from drivers.modbus.reading import Endpoint
from hal_sim.modbus.machine import station_devices
from hal_sim.modbus.server import ModbusFault
from tests.wire.test_modbus_devices import until
from tests.wire.wired_machine import WiredMachine

SEED = 1
STEP_S = 0.004  # virtual time between two answers of the camera
LIMIT_S = 5.0
CAMERA = replace(MODBUS_DEVICES["smart_camera"], heartbeat_limit_s=0.004)
A, C, F = AlarmId, ReadingChannel, ModbusFault


@dataclass(frozen=True)
class Expected:
    """What a camera's fault does to the machine."""

    fault: ModbusFault
    camera: ReadingChannel
    alarms: frozenset[AlarmId] = frozenset()
    holds: bool = False  # until the operator has seen to it

    @property
    def first_out(self) -> AlarmId:
        return A.SHEET_CAMERA_FAILED if self.holds else A.NONE


def silent(fault: ModbusFault) -> tuple[Expected, Expected]:
    """A camera that is not heard: no sheet is laid unmeasured, a layer may stay so."""
    asked_again = frozenset({A.SHEET_CAMERA_LATE, A.SHEET_CAMERA_FAILED})
    return (
        Expected(fault, C.SHEET_CAMERA_CATHODE, asked_again, holds=True),
        Expected(fault, C.STACK_CAMERA, frozenset({A.STACK_CAMERA_LATE})),
    )


TABLE = (
    *silent(F.TIMEOUT),
    *silent(F.SHORT_FRAME),
    *silent(F.EXCEPTION),
    *silent(F.WRONG_TRANSACTION),
    *silent(F.FROZEN),
    Expected(F.RECONNECT_STORM, C.SHEET_CAMERA_CATHODE),
    Expected(F.RECONNECT_STORM, C.STACK_CAMERA),
)


class Line:
    """The machine, one of its cameras on a socket, and the io process's part that reads it."""

    def __init__(self, machine: WiredMachine, camera: ReadingChannel) -> None:
        self.machine, self.camera = machine, camera
        self.server = station_devices(machine.bus.body.image, 0)[camera.name]
        self.server.device = CAMERA
        self.seen: set[AlarmId] = set()

    async def run(self, story: Callable[["Line"], Awaitable[None]]) -> None:
        await self.server.start()
        endpoint = Endpoint(
            CAMERA, self.server.host, self.server.port, 0, self.camera.name,
            timeout_s=0.05, period_s=0.0, backoff_s_min=0.001, backoff_s_max=0.002,
        )  # fmt: skip
        view = SharedView(self.machine.simulation.machine.memory, ProcessId.IO)
        devices = Devices(view, [endpoint])
        self.poller = devices.pollers[0]
        task = asyncio.create_task(devices.run())
        try:
            await until(lambda: self.poller.connected, "the first connection")
            await story(self)
        finally:
            task.cancel()
            await self.server.stop()

    def go_on(self) -> None:
        """One step of the machine."""
        self.machine.simulation.run(STEP_S)
        self.seen |= self.machine.alarms

    async def until(self, condition: Callable[[], bool]) -> None:
        """Go on until something is so; the camera answers once, or fails once, in every step."""
        for _ in range(round(LIMIT_S / STEP_S)):
            if condition():
                return
            self.go_on()
            await self._turn()
        pytest.fail(self.machine.simulation.where())

    async def _turn(self) -> None:
        counters = self.poller.counters
        turns = counters.polls + counters.failures
        await until(lambda: counters.polls + counters.failures > turns, "the camera's turn")

    async def unheard_until(self, condition: Callable[[], bool]) -> None:
        """Go on until something is so with a camera that has nothing to tell."""
        for _ in range(round(LIMIT_S / STEP_S)):
            if condition():
                return
            self.go_on()
            await asyncio.sleep(0)
        pytest.fail(self.machine.simulation.where())

    # -- what is so

    @property
    def sheets(self) -> int:
        return int(self.machine.simulation.station()["status"]["sheets_total"])

    @property
    def published(self) -> int:
        return self.poller.counters.published

    @property
    def reading(self) -> bytes:
        """What the scan sees of the camera."""
        inputs = self.machine.simulation.machine.image[0]["inputs"]["stations"][0]
        if self.camera == C.STACK_CAMERA:
            return bytes(inputs["stack_camera"].tobytes())
        return bytes(inputs["sheet_cameras"][self.camera].tobytes())


@pytest.fixture(scope="module")
def stacking() -> tuple[WiredMachine, list[Any]]:
    machine = WiredMachine(SEED)
    machine.simulation.reset()
    machine.order(CommandCode.START)
    machine.stack(2)
    return machine, machine.simulation.save()


@contextmanager
def held(line: Line) -> Iterator[None]:
    """Nothing the camera once said has moved, and no gripper has let go."""
    reading, valves = line.reading, line.machine.vacuum_on()
    yield
    assert line.reading == reading
    assert np.array_equal(line.machine.vacuum_on(), valves)


async def hold_and_come_back(line: Line) -> None:
    """The machine stands with the sheet on its stage; nobody starts it but the operator."""
    await line.unheard_until(lambda: line.machine.state == State.HELD)
    assert line.machine.first_out == A.SHEET_CAMERA_FAILED
    with held(line):
        for _ in range(50):
            line.go_on()
        assert line.machine.state == State.HELD
    line.server.fault = F.NONE
    published = line.published
    await line.until(lambda: line.published > published)
    assert line.machine.state == State.HELD, "nobody starts it but the operator"
    line.machine.order(CommandCode.UNHOLD)


@pytest.mark.parametrize("expected", TABLE, ids=lambda e: f"{e.camera.name} {e.fault.name}")
def test_a_fault_of_a_camera(stacking: tuple[WiredMachine, list[Any]], expected: Expected) -> None:
    machine, before = stacking
    machine.simulation.restore(before)

    async def story(line: Line) -> None:
        await line.until(lambda: line.published >= 1)
        line.seen.clear()
        line.server.fault = expected.fault
        published, sheets = line.published, line.sheets
        if expected.holds:
            await hold_and_come_back(line)
            assert line.sheets <= sheets + 2, "no sheet is laid that was not measured"
        elif expected.alarms:
            await line.unheard_until(lambda: expected.alarms <= line.seen)
            line.server.fault = F.NONE
        else:
            await line.until(lambda: line.published >= published + 2)
            line.server.fault = F.NONE
        assert line.seen == expected.alarms
        sheets, published = line.sheets, line.published
        await line.until(lambda: line.sheets >= sheets + 3 and line.published > published)
        assert machine.state == State.EXECUTE and machine.first_out == A.NONE
        assert machine.alarms == set()
        assert machine.violations == {}

    asyncio.run(Line(machine, expected.camera).run(story))
