"""The io process between shared memory and Modbus devices: readings out, triggers and lamps in."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from controller.child import EXIT_REFUSED
from controller.io_process import Devices
from controller.shared.layout import REQUEST_DTYPE, CorePhase, ProcessId, ReadingChannel
from controller.shared.snapshot import read_newest, write_next
from controller.shared.view import SharedView, create_memory, private_memory
from drivers.image import IMAGE_DTYPE, ReadingQuality
from drivers.modbus.reading import Endpoint
from hal_sim.modbus.machine import start_devices
from hal_sim.modbus.server import ModbusFault, SimModbusDevice
from tests.wire.test_modbus_devices import until

ROOT = Path(__file__).resolve().parents[2]
Servers = dict[tuple[int, str], SimModbusDevice]


class Line:
    """A machine's Modbus devices, and the io process's part that polls them."""

    def __init__(self) -> None:
        self.image = np.zeros(1, IMAGE_DTYPE)[0]
        self.inputs = self.image["inputs"]["stations"][0]
        self.outputs = self.image["outputs"]["stations"][0]
        self.view = SharedView(private_memory(1, 1_000_000), ProcessId.IO)
        self.memory = self.view.memory["stations"][0]

    def reading(self, channel: ReadingChannel) -> np.void | None:
        """What the core would find in its mailbox."""
        newest = read_newest(self.memory["readings"][channel])
        return None if newest is None else newest[1]

    def has(self, channel: ReadingChannel, sequence: int = 0) -> bool:
        """Tell whether a reading came, of this trigger."""
        reading = self.reading(channel)
        return reading is not None and int(reading["sequence"]) == sequence

    def ask(self, **fields: object) -> None:
        """What the core asks for."""
        request = np.zeros((), REQUEST_DTYPE)
        for name, value in fields.items():
            request[name] = value
        write_next(self.memory["requests"], request)

    async def run(self, story: Callable[["Line", Servers], Awaitable[None]]) -> None:
        """Tell a story with everything running."""
        servers = await start_devices(self.image, 1, port_first=0)
        endpoints = [
            Endpoint(server.device, "127.0.0.1", server.port, station, name,
                     timeout_s=0.2, backoff_s_min=0.01, backoff_s_max=0.05)
            for (station, name), server in servers.items()
        ]  # fmt: skip
        task = asyncio.create_task(Devices(self.view, endpoints).run())
        try:
            await story(self, servers)
        finally:
            task.cancel()
            for server in servers.values():
                await server.stop()


def test_every_reading_finds_its_mailbox() -> None:
    line = Line()
    line.inputs["tension_n"], line.inputs["dancer_position_m"] = 2.75, -0.0125
    line.inputs["magazine_sheets"], line.inputs["hipot_resistance_ohm"] = (120, 80), 2.5e9

    async def story(line: Line, _: Servers) -> None:
        sensors = (ReadingChannel.TENSION, ReadingChannel.DANCER, ReadingChannel.IO_BLOCK)
        await until(lambda: all(line.has(channel) for channel in sensors), "sensors")
        tension, dancer, block = (line.reading(channel) for channel in sensors)
        assert tension is not None and tension["x_m"] == pytest.approx(2.75)
        assert dancer is not None and dancer["x_m"] == pytest.approx(-0.0125)
        assert block is not None and (block["x_m"], block["y_m"]) == (120.0, 80.0)
        assert block["theta_rad"] == pytest.approx(2.5e9)

    asyncio.run(line.run(story))


def test_a_trigger_reaches_its_camera_and_the_pose_comes_back_under_its_number() -> None:
    async def story(line: Line, _: Servers) -> None:
        line.ask(sheet_camera_trigger=(0, 7), stack_camera_trigger=3, stack_light=0b100)
        await until(lambda: line.outputs["sheet_camera_trigger"][1] == 7, "the cathode's trigger")
        await until(lambda: line.outputs["stack_camera_trigger"] == 3, "the stack camera's")
        await until(lambda: line.outputs["stack_light"] == 0b100, "the green lamp")
        assert line.outputs["sheet_camera_trigger"][0] == 0
        camera = line.inputs["sheet_cameras"][1]
        camera["x_m"], camera["quality"], camera["sequence"] = 5e-4, ReadingQuality.GOOD, 7
        await until(lambda: line.has(ReadingChannel.SHEET_CAMERA_CATHODE, 7), "the pose")
        pose = line.reading(ReadingChannel.SHEET_CAMERA_CATHODE)
        assert pose is not None and pose["x_m"] == pytest.approx(5e-4, abs=1e-8)
        assert line.reading(ReadingChannel.STACK_CAMERA) is None

    asyncio.run(Line().run(story))


def test_who_falls_silent_and_who_answers_again_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    said = []

    def told(words: str) -> bool:
        said.append(capsys.readouterr().err)
        return words in "".join(said)

    async def story(line: Line, servers: Servers) -> None:
        await until(lambda: line.has(ReadingChannel.TENSION), "the load cell")
        servers[0, "TENSION"].fault = ModbusFault.EXCEPTION
        await until(lambda: told("station 0 TENSION (127.0.0.1"), "its name")
        servers[0, "TENSION"].fault = ModbusFault.NONE
        await until(lambda: told("answers again"), "its return")

    asyncio.run(Line().run(story))


def started(config: Path, memory_fd: int) -> subprocess.Popen[str]:
    """The io process as the supervisor starts it."""
    command = [sys.executable, "-m", "controller.io_process", "--memory-fd", str(memory_fd)]
    return subprocess.Popen(
        [*command, "--config", str(config)],
        cwd=ROOT, pass_fds=[memory_fd], stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.fixture
def unreachable(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A machine file whose stack camera does not listen at its address, and the port there."""
    config = tmp_path / "machine.yaml"
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        port = int(deaf.getsockname()[1])
        camera = f"device: smart_camera, host: 127.0.0.1, port: {port}"
        config.write_text(
            f"extends: {ROOT / 'config' / 'machine.yaml'}\nhal: ethercat\n"
            f"ethercat: {ROOT / 'config' / 'ethercat.yaml'}\n"
            f"modbus: [{{{camera}, station: 0, reading: STACK_CAMERA}}]\n"
        )
        yield config, port


def test_an_unreachable_camera_stops_the_start_in_one_line(
    unreachable: tuple[Path, int],
) -> None:
    config, port = unreachable
    memory_fd = create_memory(1, 1_000_000)
    process = started(config, memory_fd)
    _, errors = process.communicate(timeout=300)
    os.close(memory_fd)
    assert process.returncode == EXIT_REFUSED
    (line,) = (line for line in errors.splitlines() if "niceness" not in line)  # root's alone
    assert f"station 0 STACK_CAMERA (127.0.0.1:{port}): expected an answer, found" in line


def test_while_the_machine_runs_a_lost_camera_stops_nobody(unreachable: tuple[Path, int]) -> None:
    config, _ = unreachable
    memory_fd = create_memory(1, 1_000_000)
    view = SharedView.attach(memory_fd, ProcessId.SUPERVISOR)
    view.header["core_phase"] = CorePhase.RUNNING
    process = started(config, memory_fd)
    assert process.stderr is not None
    assert any("STACK_CAMERA" in line for line in process.stderr)
    assert process.poll() is None
    process.terminate()
    assert process.wait(60) == 0
    os.close(memory_fd)
