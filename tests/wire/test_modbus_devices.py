"""Modbus devices on loopback: our poller and independent clients, and devices that misbehave."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import replace

import numpy as np
import pytest
from pymodbus.client import AsyncModbusTcpClient

from drivers.devices.modbus_description import Encoding, ModbusDescription, Table
from drivers.devices.registry import MODBUS_DEVICES
from drivers.image import IMAGE_DTYPE, ReadingQuality
from drivers.modbus.batches import batches
from drivers.modbus.poller import Poller, check_all, run_all
from drivers.modbus.reading import Endpoint, Reading
from hal_sim.modbus.machine import start_devices
from hal_sim.modbus.server import ModbusFault, SimModbusDevice


async def until(condition: Callable[[], bool], what: str, timeout_s: float = 15.0) -> None:
    async def poll() -> None:
        while not condition():
            await asyncio.sleep(0.001)

    try:
        await asyncio.wait_for(poll(), timeout_s)
    except TimeoutError:
        pytest.fail(f"not in {timeout_s} s: {what}")


def endpoint(device: SimModbusDevice, channel: str = "") -> Endpoint:
    return Endpoint(
        device.device, "127.0.0.1", device.port, 0, channel,
        timeout_s=0.1, backoff_s_min=0.01, backoff_s_max=0.05,
    )  # fmt: skip


class Polled:
    """One simulated device with our poller on it."""

    def __init__(self, name: str, values: dict[str, float], **change: object) -> None:
        self.values = values
        self.written: dict[str, float] = {}
        device: ModbusDescription = replace(MODBUS_DEVICES[name], **change)  # type: ignore[arg-type]
        self.server = SimModbusDevice(device, lambda: self.values, self.written.__setitem__)
        self.readings: list[Reading] = []

    async def run(self, story: Callable[["Polled"], Awaitable[None]]) -> None:
        await self.server.start()
        self.poller = Poller(endpoint(self.server, "X"), self.readings.append)
        task = asyncio.create_task(self.poller.run())
        try:
            await story(self)
        finally:
            task.cancel()
            await self.server.stop()

    @property
    def last(self) -> Reading:
        return self.readings[-1]

    async def next_reading(self, quality: ReadingQuality = ReadingQuality.GOOD) -> Reading:
        count = len(self.readings)
        await until(lambda: len(self.readings) > count + 1 and self.last.quality == quality,
                    f"a {quality.name} reading")  # fmt: skip
        return self.last


@pytest.mark.parametrize("name", ["load_cell", "dancer_sensor"])
def test_a_value_arrives_scaled_and_stamped(name: str) -> None:
    value = {"load_cell": ("tension", 3.125), "dancer_sensor": ("position", 0.0125)}[name]

    async def story(polled: Polled) -> None:
        first = await polled.next_reading()
        second = await polled.next_reading()
        assert first.values == pytest.approx((value[1],), rel=1e-6)
        assert second.captured_ns > first.captured_ns > 0
        assert second.record()["x_m"] == pytest.approx(value[1], rel=1e-6)

    asyncio.run(Polled(name, dict([value])).run(story))


def test_a_camera_result_is_matched_by_sequence_and_by_nothing_else() -> None:
    values = {"sequence": 4.0, "result": 0.0, "x": 9e-4, "y": 0.0, "theta": 0.0}

    async def story(polled: Polled) -> None:
        polled.poller.trigger(7)
        await until(lambda: polled.written.get("trigger") == 7, "the trigger")
        await until(
            lambda: polled.poller.counters.mismatched > 3, "an old result, seen and refused"
        )
        assert polled.readings == []
        values.update(x=1e-4, y=-2e-4, theta=3e-3, sequence=7.0)
        await until(lambda: len(polled.readings) == 1, "its result")
        assert polled.last.sequence == 7
        assert polled.last.values == pytest.approx((1e-4, -2e-4, 3e-3), abs=1e-8)
        polls = polled.poller.counters.polls
        await until(lambda: polled.poller.counters.polls > polls + 5, "more polls")
        assert len(polled.readings) == 1, "a result is published once"

    asyncio.run(Polled("smart_camera", values).run(story))


def test_a_failed_vision_result_is_a_failed_reading() -> None:
    values = {"sequence": 3.0, "result": 1.0}

    async def story(polled: Polled) -> None:
        polled.poller.trigger(3)
        await until(lambda: len(polled.readings) == 1, "the result")
        assert polled.last.quality == ReadingQuality.FAILED

    asyncio.run(Polled("smart_camera", values).run(story))


def test_a_value_out_of_range_is_a_failed_reading() -> None:
    async def story(polled: Polled) -> None:
        await polled.next_reading()
        polled.values["tension"] = 60.0
        await polled.next_reading(ReadingQuality.FAILED)

    asyncio.run(Polled("load_cell", {"tension": 3.0}).run(story))


def test_a_devices_own_status_fails_its_reading() -> None:
    async def story(polled: Polled) -> None:
        polled.values["status"] = 5.0
        await polled.next_reading(ReadingQuality.FAILED)
        polled.values["status"] = 0.0
        await polled.next_reading()

    asyncio.run(Polled("load_cell", {"tension": 3.0}).run(story))


def test_a_frozen_heartbeat_fails_the_reading_and_recovers() -> None:
    async def story(polled: Polled) -> None:
        await polled.next_reading()
        polled.server.fault = ModbusFault.FROZEN
        await polled.next_reading(ReadingQuality.FAILED)
        polled.server.fault = ModbusFault.NONE
        await polled.next_reading()

    asyncio.run(Polled("load_cell", {"tension": 3.0}, heartbeat_limit_s=0.1).run(story))


@pytest.mark.parametrize(
    "fault",
    [ModbusFault.TIMEOUT, ModbusFault.SHORT_FRAME, ModbusFault.EXCEPTION,
     ModbusFault.WRONG_TRANSACTION],
)  # fmt: skip
def test_no_reading_comes_of_a_bad_answer_and_the_device_comes_back(fault: ModbusFault) -> None:
    async def story(polled: Polled) -> None:
        await polled.next_reading()
        polled.server.fault = fault
        failures = polled.poller.counters.failures
        await until(lambda: polled.poller.counters.failures > failures + 1, "failures")
        count = len(polled.readings)
        polled.values["tension"] = 4.0
        await until(lambda: polled.poller.counters.failures > failures + 3, "more failures")
        assert len(polled.readings) == count, "silence, not a value: the last one grows old"
        polled.server.fault = ModbusFault.NONE
        assert (await polled.next_reading()).values == pytest.approx((4.0,))
        assert polled.poller.endpoint.label in polled.poller.counters.last_error

    asyncio.run(Polled("load_cell", {"tension": 3.0}).run(story))


def test_a_reconnect_storm_is_met_with_growing_pauses() -> None:
    async def story(polled: Polled) -> None:
        await polled.next_reading()
        polled.server.fault = ModbusFault.RECONNECT_STORM
        connections = polled.poller.counters.connections
        await until(lambda: polled.poller.counters.connections > connections + 4, "reconnects")
        polled.server.fault = ModbusFault.NONE
        await polled.next_reading()

    asyncio.run(Polled("load_cell", {"tension": 3.0}).run(story))


def test_a_lost_result_is_triggered_again_after_a_reconnect() -> None:
    values = {"sequence": 0.0}

    async def story(polled: Polled) -> None:
        polled.poller.trigger(9)
        await until(lambda: polled.written.get("trigger") == 9, "the trigger")
        polled.written.clear()
        polled.server.fault = ModbusFault.EXCEPTION
        await until(lambda: polled.poller.counters.failures > 0, "a failure")
        polled.server.fault = ModbusFault.NONE
        await until(lambda: polled.written.get("trigger") == 9, "the trigger again")

    asyncio.run(Polled("smart_camera", values).run(story))


def test_devices_are_polled_side_by_side_and_outputs_reach_the_machine() -> None:
    image = np.zeros(1, IMAGE_DTYPE)[0]
    image["inputs"]["stations"][0]["tension_n"] = 3.0
    image["inputs"]["stations"][0]["magazine_sheets"] = (120, 80)
    outputs = image["outputs"]["stations"][0]

    async def story() -> None:
        servers = await start_devices(image, 1, port_first=0)
        readings: dict[str, Reading] = {}
        pollers = {
            name: Poller(endpoint(server, name), lambda r: readings.__setitem__(r.channel, r))
            for (_, name), server in servers.items()
        }
        servers[0, "DANCER"].fault = ModbusFault.TIMEOUT
        task = asyncio.create_task(run_all(list(pollers.values())))
        await until(
            lambda: {"TENSION", "IO_BLOCK"} <= readings.keys(), "readings despite a dead one"
        )
        assert readings["IO_BLOCK"].values[:2] == (120.0, 80.0)
        assert "DANCER" not in readings
        pollers["IO_BLOCK"].set_output("light_green", 1)
        pollers["SHEET_CAMERA_CATHODE"].trigger(12)
        await until(lambda: outputs["stack_light"] == 4, "the lamp")
        await until(lambda: outputs["sheet_camera_trigger"][1] == 12, "the trigger")
        camera = image["inputs"]["stations"][0]["sheet_cameras"][1]
        camera["x_m"], camera["quality"], camera["sequence"] = 5e-4, ReadingQuality.GOOD, 12
        await until(lambda: "SHEET_CAMERA_CATHODE" in readings, "the pose")
        assert readings["SHEET_CAMERA_CATHODE"].values[0] == pytest.approx(5e-4, abs=1e-8)
        task.cancel()
        for server in servers.values():
            await server.stop()

    asyncio.run(story())


def test_an_unreachable_camera_is_named_with_its_address() -> None:
    with socket.socket() as placeholder:
        placeholder.bind(("127.0.0.1", 0))
        port = placeholder.getsockname()[1]
        camera = Endpoint(MODBUS_DEVICES["smart_camera"], "127.0.0.1", port, 0, "STACK_CAMERA")
        messages = asyncio.run(check_all([Poller(camera, lambda _: None)]))
    assert len(messages) == 1
    assert "station 0 STACK_CAMERA" in messages[0] and f"127.0.0.1:{port}" in messages[0]


# -- independent clients


def test_pymodbus_reads_the_load_cell() -> None:
    async def story(polled: Polled) -> None:
        client = AsyncModbusTcpClient("127.0.0.1", port=polled.server.port)
        assert await client.connect()
        answer = await client.read_input_registers(1, count=2, device_id=1)
        assert struct.unpack(">i", struct.pack(">2H", *answer.registers))[0] == 3125
        client.close()

    asyncio.run(Polled("load_cell", {"tension": 3.125}).run(story))


def crc16(data: bytes) -> int:
    """Modbus over serial line, appendix B."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return crc


@pytest.mark.parametrize("rtu", [False, True], ids=["TCP", "RTU over TCP"])
def test_a_client_written_from_the_specification_reads_and_writes(rtu: bool) -> None:
    async def story(polled: Polled) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", polled.server.port)

        async def ask(pdu: bytes, answer_bytes: int) -> bytes:
            if rtu:
                frame = b"\x01" + pdu
                writer.write(frame + crc16(frame).to_bytes(2, "little"))
                answer = await reader.readexactly(answer_bytes + 3)
                assert crc16(answer) == 0, "a frame with its CRC leaves no remainder"
                return answer[1:-2]
            writer.write(struct.pack(">HHHB", 0x1234, 0, len(pdu) + 1, 1) + pdu)
            answer = await reader.readexactly(answer_bytes + 7)
            assert answer[:4] == b"\x12\x34\x00\x00"
            return answer[7:]

        words = await ask(struct.pack(">BHH", 4, 2, 2), 6)
        assert struct.unpack(">BBf", words) == pytest.approx((4, 4, 2.5e9))
        assert await ask(struct.pack(">BHH", 5, 2, 0xFF00), 5) == struct.pack(">BHH", 5, 2, 0xFF00)
        assert polled.written["light_amber"] == 1.0
        refused = await ask(struct.pack(">BHH", 4, 500, 1), 2)
        assert refused == b"\x84\x02", "illegal data address"
        writer.close()

    polled = Polled("io_block", {"hipot_resistance": 2.5e9}, rtu_over_tcp=rtu)
    asyncio.run(polled.run(story))


# -- register maps as data


@pytest.mark.parametrize("device", MODBUS_DEVICES.values(), ids=MODBUS_DEVICES.keys())
def test_batches_cover_every_readable_register_once(device: ModbusDescription) -> None:
    found = [register for batch in batches(device) for register in batch.registers]
    expected = [
        r for r in device.registers if r.table is not Table.COIL and r.name != device.trigger
    ]
    assert sorted(r.name for r in found) == sorted(r.name for r in expected)
    for batch in batches(device):
        end = max(r.address + r.encoding.registers for r in batch.registers)
        assert (batch.address + batch.count, batch.count <= 120) == (end, True)


def test_neighbours_share_a_request_and_far_ones_do_not() -> None:
    assert [(b.address, b.count) for b in batches(MODBUS_DEVICES["io_block"])] == [(0, 4), (32, 1)]
    assert len(batches(MODBUS_DEVICES["smart_camera"])) == 1


@pytest.mark.parametrize("device", MODBUS_DEVICES.values(), ids=MODBUS_DEVICES.keys())
def test_every_register_survives_encoding(device: ModbusDescription) -> None:
    for register in device.registers:
        value = 1.0 if register.encoding is Encoding.BIT else 37 * register.unit_per_count
        words = device.encode(register, value)
        assert device.decode(register, words) == pytest.approx(value, rel=1e-6)
