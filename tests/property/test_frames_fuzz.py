"""Mutated frames into our exchange, into the virtual segment and into both ends of Modbus.

One per cent of the campaign runs always, all of it with `-m long`. Seeds are printed with a failure.
"""

import asyncio
import random
import struct
from typing import Any

import numpy as np
import pytest
from numba import njit
from pymodbus import ModbusException
from pymodbus.framer import FramerSocket
from pymodbus.pdu import DecodePDU, ModbusPDU
from pymodbus.simulator.simcore import SimCore

from drivers.devices.registry import MODBUS_DEVICES
from drivers.ethercat.acyclic import frame_of
from drivers.ethercat.frame import accept, settle, stamp
from drivers.ethercat.process_data import unpack
from drivers.ethercat.protocol import AlState, Command
from drivers.ethercat.topology import drives_topology
from drivers.image import IMAGE_DTYPE, BusState, ReadingQuality
from drivers.modbus.poller import Poller
from drivers.modbus.reading import Endpoint, Reading
from drivers.seam import ExchangeCode
from hal_sim.ethercat.body import serve_frame
from hal_sim.ethercat.lockstep import Lockstep, exchange
from hal_sim.ethercat.registers import power_on
from hal_sim.modbus.server import SimModbusDevice

ETHERCAT_FRAMES, MODBUS_FRAMES = 10_000_000, 250_000
campaign = pytest.mark.parametrize(
    "share", [0.01, pytest.param(1.0, marks=pytest.mark.long)], ids=["1 %", "all"]
)


@njit(nogil=True, error_model="numpy")
def next_random(state: Any) -> Any:
    """xorshift64 over uint64[1]."""
    x = state[0]
    x ^= x << np.uint64(13)
    x ^= x >> np.uint64(7)
    x ^= x << np.uint64(17)
    state[0] = x
    return np.int64(x >> np.uint64(2))


@njit(nogil=True, error_model="numpy")
def mutate(frame: Any, length: Any, state: Any) -> Any:
    """Change one to eight bytes, in half of the cases the length too; returns it."""
    for _ in range(1 + next_random(state) % 8):
        frame[next_random(state) % length] = next_random(state) & 0xFF
    if next_random(state) % 2 == 0:
        return next_random(state) % frame.size
    return length


@njit(nogil=True, error_model="numpy")
def same(frame: Any, genuine: Any, first: int, count: int) -> Any:
    """Whether a stretch of bytes is untouched."""
    for n in range(first, first + count):
        if frame[n] != genuine[n]:
            return False
    return True


@njit(nogil=True, error_model="numpy")
def untouched(frame: Any, genuine: Any, size: int) -> Any:
    """Whether all that identifies a reply is genuine; written from ETG.1000.4, not from the driver.

    Left out: Ethernet addresses, the interrupt field, the data, which nothing but the frame check guards.
    """
    counter, clock, status = 26 + size, 28 + size, 48 + size
    return (
        same(frame, genuine, 12, 4)
        and same(frame, genuine, 16, 8)
        and same(frame, genuine, counter, 2)
        and same(frame, genuine, clock, 8)
        and same(frame, genuine, status, 2)
        and same(frame, genuine, status + 4, 4)
    )


@njit(nogil=True, error_model="numpy")
def fuzz_exchange(link: Any, state: Any, count: int) -> Any:
    """Feed mutated replies to the exchange; returns (taken, taken though forged)."""
    taken, forged = 0, 0
    frame, genuine = np.zeros(1536, np.uint8), np.zeros(1536, np.uint8)
    sent, length = link.frames[0].transmit, link.frames[0].length
    size = link.frames[0].data_bytes
    for _ in range(count):
        stamp(link)
        for n in range(length):
            genuine[n] = sent[n]
        genuine[26 + size] = link.frames[0].working_counter_expected
        genuine[58 + size], genuine[60 + size] = 8, link.slave_count
        for n in range(length):
            frame[n] = genuine[n]
        received = mutate(frame, length, state)
        if accept(link, frame, received) == 0:
            taken += 1
            if received < length or not untouched(frame, genuine, size):
                forged += 1
        settle(link)
    return taken, forged


@njit(nogil=True, error_model="numpy")
def fuzz_segment(body: Any, frames: Any, lengths: Any, state: Any, count: int) -> Any:
    """Send mutated requests through the segment; returns how many it answered."""
    answered = 0
    frame = np.zeros(1536, np.uint8)
    for k in range(count):
        which = next_random(state) % lengths.size
        for n in range(frame.size):
            frame[n] = frames[which, n]
        size = mutate(frame, lengths[which], state)
        frame[12], frame[13] = 0x88, 0xA4
        answered += serve_frame(body, frame, size, np.int64(k) * 1000)
    return answered


def seeded(seed: int) -> np.ndarray:
    return np.array([seed * 2 + 1], np.uint64)


def operational() -> tuple[Lockstep, np.void]:
    bus, image = Lockstep(drives_topology(8)), np.zeros(1, IMAGE_DTYPE)[0]
    bus.bring_up()
    for _ in range(5):
        exchange(image, bus.context)
    assert image["inputs"]["bus"]["state"] == BusState.OPERATIONAL
    return bus, image


@campaign
def test_no_mutated_reply_is_taken_for_a_genuine_one(share: float) -> None:
    bus, image = operational()
    link = bus.link
    taken, forged = fuzz_exchange(link, seeded(11), int(ETHERCAT_FRAMES * share))
    assert forged == 0
    assert taken > 0, "mutations of the data alone do pass: only the Ethernet check guards those"
    unpack(link, image["inputs"], 1_000_000)
    assert all(exchange(image, bus.context) == ExchangeCode.OK for _ in range(10))
    assert image["inputs"]["bus"]["state"] == BusState.OPERATIONAL


def requests(bus: Lockstep) -> tuple[np.ndarray, np.ndarray]:
    """Frames of every kind a master sends, to start mutating from."""
    mailbox = struct.pack("<HHBBHBHBI", 10, 0, 0, 0x03, 0x2000, 0x40, 0x1018, 1, 0).ljust(
        128, b"\0"
    )
    kinds: list[tuple[Command, int, bytes]] = [
        (command, 0x1001 | 0x0120 << 16, bytes(8)) for command in Command if command
    ]
    kinds += [
        (Command.APWR, 0x1000 << 16, mailbox),
        (Command.APRD, 0x1080 << 16, bytes(128)),
        (Command.APWR, 0xFFFF | 0x0800 << 16, bytes(32)),
        (Command.APWR, 0xFFFE | 0x0600 << 16, bytes(48)),
        (Command.APWR, 0x0502 << 16, struct.pack("<HI", 0x0100, 8)),
        (Command.FRMW, 0x1001 | 0x0910 << 16, bytes(8)),
        (Command.BWR, 0x0900 << 16, bytes(4)),
    ]
    cyclic = bytes(bus.link["frames"][0]["transmit"][: int(bus.link["frames"][0]["length"])])
    contents = [frame_of(*kind) for kind in kinds] + [cyclic]
    frames = np.zeros((len(contents), 1536), np.uint8)
    for n, content in enumerate(contents):
        frames[n, : len(content)] = list(content)
    return frames, np.array([len(content) for content in contents], np.int64)


@campaign
def test_the_segment_survives_any_frame_and_can_be_brought_up_again(share: float) -> None:
    bus, _ = operational()
    frames, lengths = requests(bus)
    count = int(ETHERCAT_FRAMES * share)
    answered = fuzz_segment(bus.body.buffer, frames, lengths, seeded(12), count)
    assert 0 < answered < count
    fresh = Lockstep(drives_topology(8))
    assert np.array_equal(bus.body.slaves["sii"], fresh.body.slaves["sii"])
    states = {int(state) & 0x0F for state in bus.body.slaves["memory"][:, 0x0130]}
    assert states <= {int(state) for state in AlState}
    for slave in bus.body.slaves:
        power_on(slave)
    bus.bring_up()
    image = np.zeros(1, IMAGE_DTYPE)[0]
    assert [exchange(image, bus.context) for _ in range(5)] == [ExchangeCode.OK] * 5


class Replay:
    """Stands where pymodbus's client does: what the framer makes of one frame is the answer."""

    def __init__(self) -> None:
        self.frame = b""
        self.framer = FramerSocket(DecodePDU(False))

    async def read_input_registers(self, *_: object, **__: object) -> object:
        try:
            pdu = self.framer.handleFrame(self.frame, 1, 7)[1]
        except ModbusException:
            pdu = None
        if pdu is None:
            raise TimeoutError("nothing usable came")
        return pdu

    read_discrete_inputs = read_holding_registers = read_input_registers


def mutated(genuine: bytes, chance: random.Random) -> bytes:
    content = bytearray(genuine)
    for _ in range(chance.randint(1, 4)):
        content[chance.randrange(len(content))] = chance.randrange(256)
    return bytes(content[: chance.randint(0, len(content))] if chance.random() < 0.3 else content)


@campaign
def test_no_mutated_modbus_answer_becomes_a_wrong_reading(share: float) -> None:
    chance, client, readings = random.Random(13), Replay(), list[Reading]()
    device = MODBUS_DEVICES["load_cell"]
    poller = Poller(Endpoint(device, "nowhere", 1, 0, "TENSION"), readings.append)
    genuine = struct.pack(">HHHBBBHiH", 7, 0, 11, 1, 4, 8, 0, 3000, 1)
    refused = 0

    async def story() -> None:
        nonlocal refused
        for _ in range(int(MODBUS_FRAMES * share)):
            client.frame = mutated(genuine, chance)
            try:
                await poller._poll(client)  # type: ignore[arg-type]
            except (ConnectionError, TimeoutError):
                refused += 1
                continue
            header_ok = client.frame[6:9] == genuine[6:9] and client.frame[:2] in (b"\0\7", b"\0\0")
            assert header_ok, f"accepted: {client.frame.hex()}"
            if readings[-1].quality is ReadingQuality.GOOD:
                assert -5.0 <= readings[-1].values[0] <= 50.0

    asyncio.run(story())
    assert refused > 0 and readings
    client.frame = genuine
    asyncio.run(poller._poll(client))  # type: ignore[arg-type]
    assert readings[-1].values == (3.0,)


@campaign
def test_a_modbus_device_survives_any_request(share: float) -> None:
    chance = random.Random(14)
    written: dict[str, float] = {}
    device = SimModbusDevice(MODBUS_DEVICES["io_block"], dict, written.__setitem__)
    core: Any
    core, framer = SimCore([device._simulated()]), FramerSocket(DecodePDU(True))
    genuine = [
        struct.pack(">HHHBBHH", 7, 0, 6, 1, 4, 0, 4),
        struct.pack(">HHHBBHH", 7, 0, 6, 1, 5, 2, 0xFF00),
        struct.pack(">HHHBBHHBH", 7, 0, 9, 1, 16, 0, 1, 2, 5),
    ]

    async def ask(frame: bytes) -> ModbusPDU | None:
        try:
            _, request = framer.handleFrame(frame, 0, 0)
            return None if request is None else await request.datastore_update(core, request.dev_id)
        except (ModbusException, LookupError, struct.error, AttributeError, TypeError, ValueError):
            return None  # the server answers these with an exception response

    async def story() -> int:
        answers = 0
        for _ in range(int(MODBUS_FRAMES * share)):
            answers += await ask(mutated(chance.choice(genuine), chance)) is not None
        last = await ask(genuine[0])
        assert last is not None and len(last.registers) == 4
        return answers

    assert asyncio.run(story()) > 0
    assert all(value in (0.0, 1.0) for value in written.values())
