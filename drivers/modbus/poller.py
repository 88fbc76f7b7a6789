"""One Modbus device polled for ever: readings out through `publish`, triggers and outputs in.

A device that does not answer is asked again with growing pauses; meanwhile nothing is published, and the
reader sees the last reading grow old. A result counts for the sheet whose sequence number it carries.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from pymodbus import FramerType, ModbusException
from pymodbus.client import AsyncModbusTcpClient

from drivers.devices.modbus_description import ModbusRegister, Table
from drivers.image import ReadingQuality
from drivers.modbus.batches import Batch, batches
from drivers.modbus.reading import Endpoint, Reading

Publish = Callable[[Reading], None]
HEARTBEATS_A_LIMIT = 4


class DeviceError(ConnectionError):
    """A device does not answer as its file says; the message names it, expected and found."""


@dataclass
class Counters:
    """What happened to one device so far."""

    polls: int = 0
    published: int = 0
    failures: int = 0
    connections: int = 0
    mismatched: int = 0  # results of a sequence nobody waits for
    last_error: str = ""


@dataclass
class Poller:
    """Polls one endpoint; `trigger` and `set_output` may be called at any time from the same loop."""

    endpoint: Endpoint
    publish: Publish
    counters: Counters = field(default_factory=Counters)
    connected: bool = False

    def __post_init__(self) -> None:
        self._batches = batches(self.endpoint.device)
        self._outputs: dict[str, float] = {}
        self._written: dict[str, float] = {}
        self._wanted_sequence = 0
        self._sent_sequence = 0
        self._sent_ns = 0
        self._send_again = False
        self._answered_sequence = 0
        self._beat = (-1.0, 0)
        self._awake = asyncio.Event()

    # -- what others ask of it

    def trigger(self, sequence: int) -> None:
        """Ask for a result under a new sequence number."""
        if sequence != self._wanted_sequence:
            self._wanted_sequence = sequence
            self._awake.set()

    def set_output(self, name: str, value: float) -> None:
        """Set a coil or holding register by name; written when it differs from what was written last."""
        self._outputs[name] = value

    # -- the life of a connection

    async def run(self) -> None:
        """Connect, poll, and start again after every failure, until cancelled."""
        pause_s = self.endpoint.backoff_s_min
        while True:
            polls = self.counters.polls
            try:
                await self._session()
            except (ConnectionError, ModbusException, OSError, TimeoutError) as error:
                self.counters.failures += 1
                self.counters.last_error = f"{self.endpoint.label}: {error}"
            # A device that answers before it fails again is no reason to hammer it.
            progressed = self.counters.polls > polls + 10
            pause_s = self.endpoint.backoff_s_min if progressed else pause_s
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, self.endpoint.backoff_s_max)

    async def check(self) -> None:
        """Poll once; DeviceError names the device that cannot be reached or read."""
        client = self._client()
        try:
            await self._connect(client)
            await self._poll(client)
        except (ModbusException, OSError, TimeoutError) as error:
            raise DeviceError(f"{self.endpoint.label}: expected an answer, found {error}") from None
        finally:
            client.close()

    def _client(self) -> AsyncModbusTcpClient:
        device = self.endpoint.device
        framer = FramerType.RTU if device.rtu_over_tcp else FramerType.SOCKET
        return AsyncModbusTcpClient(
            self.endpoint.host,
            port=self.endpoint.port,
            framer=framer,
            timeout=self.endpoint.timeout_s,
            retries=0,
            reconnect_delay=0,
        )

    async def _connect(self, client: AsyncModbusTcpClient) -> None:
        if not await client.connect():
            raise DeviceError("no connection; check address, cable and power")
        self.counters.connections += 1
        self.connected = True
        self._written.clear()

    async def _session(self) -> None:
        client = self._client()
        try:
            await self._connect(client)
            await self._look_for_result(client)
            due = time.monotonic()
            while True:
                await self._write(client)
                await self._poll(client)
                now = time.monotonic()
                due = max(
                    min(due, now) + self._period_s(), now
                )  # a trigger may come before its time
                self._awake.clear()
                await self._pause(due - now)
        finally:
            self.connected = False
            client.close()

    async def _look_for_result(self, client: AsyncModbusTcpClient) -> None:
        """After a reconnect: the result may lie there already; if not, its trigger is sent again."""
        if self._sent_sequence != self._answered_sequence:
            await self._poll(client)
            self._send_again = self._sent_sequence != self._answered_sequence

    def _period_s(self) -> float:
        """A device without a trigger under way has nothing new to tell but its heartbeat."""
        device = self.endpoint.device
        if device.trigger and self._wanted_sequence == self._answered_sequence:
            return device.heartbeat_limit_s / HEARTBEATS_A_LIMIT
        return self.endpoint.period_s or device.period_s

    async def _pause(self, seconds: float) -> None:
        """Wait for the next poll or a trigger, whichever comes first."""
        if self._wanted_sequence != self._sent_sequence:
            return
        try:
            await asyncio.wait_for(self._awake.wait(), max(seconds, 0.0005))
        except TimeoutError:
            return

    # -- one round

    async def _write(self, client: AsyncModbusTcpClient) -> None:
        device = self.endpoint.device
        sequence = self._wanted_sequence
        if device.trigger and (self._send_again or sequence not in (self._sent_sequence, 0)):
            before_ns = time.monotonic_ns()
            await self._write_one(client, device.register(device.trigger), sequence)
            self._sent_sequence, self._send_again = sequence, False
            self._sent_ns = (before_ns + time.monotonic_ns()) // 2
        for name, value in self._outputs.items():
            if self._written.get(name) != value:
                await self._write_one(client, device.register(name), value)
                self._written[name] = value

    async def _write_one(
        self, client: AsyncModbusTcpClient, register: ModbusRegister, value: float
    ) -> None:
        device = self.endpoint.device
        words = device.encode(register, value)
        if register.table is Table.COIL:
            answer = await client.write_coil(
                register.address, bool(words[0]), device_id=device.unit_id
            )
        else:
            answer = await client.write_registers(register.address, words, device_id=device.unit_id)
        if answer.isError():
            raise DeviceError(f"{register.name}: write refused: {answer}")

    async def _read(self, client: AsyncModbusTcpClient, batch: Batch) -> list[int]:
        function, read = {
            Table.DISCRETE: (2, client.read_discrete_inputs),
            Table.HOLDING: (3, client.read_holding_registers),
            Table.INPUT: (4, client.read_input_registers),
        }[batch.table]
        unit = self.endpoint.device.unit_id
        answer = await read(batch.address, count=batch.count, device_id=unit)
        if answer.isError():
            raise DeviceError(f"{batch.table.value} {batch.address}: {answer}")
        if answer.function_code != function:
            raise DeviceError(f"expected function {function}, found {answer.function_code}")
        bits = batch.table is Table.DISCRETE
        words = list(answer.bits[: batch.count] if bits else answer.registers)
        if len(words) != batch.count:
            raise DeviceError(
                f"{batch.table.value} {batch.address}: expected {batch.count}, found {len(words)}"
            )
        return words

    async def _poll(self, client: AsyncModbusTcpClient) -> None:
        device = self.endpoint.device
        asked_ns = time.monotonic_ns()
        values: dict[str, float] = {}
        for batch in self._batches:
            answer = await self._read(client, batch)
            for register in batch.registers:
                values[register.name] = device.decode(register, batch.words(register, answer))
        self.counters.polls += 1
        self._judge(values, asked_ns)

    def _judge(self, values: dict[str, float], asked_ns: int) -> None:
        """Publish what was read with its quality; a triggered device only under the awaited number."""
        device = self.endpoint.device
        captured_ns, sequence = asked_ns, 0
        alive = self._is_alive(values, asked_ns)
        if device.sequence:
            sequence, captured_ns = int(values[device.sequence]), self._sent_ns
            if sequence == self._answered_sequence or sequence == 0:
                return
            if sequence != self._sent_sequence:
                self.counters.mismatched += 1
                return
            self._answered_sequence = sequence
        healthy = alive and (device.status is None or values[device.status] == 0)
        good = healthy and all(
            device.register(name).minimum <= values[name] <= device.register(name).maximum
            for name in device.values
        )
        self.counters.published += 1
        self.publish(
            Reading(
                self.endpoint.station,
                self.endpoint.channel,
                captured_ns,
                tuple(values[name] for name in device.values),
                ReadingQuality.GOOD if good else ReadingQuality.FAILED,
                sequence,
            )
        )

    def _is_alive(self, values: dict[str, float], now_ns: int) -> bool:
        """Whether the heartbeat has moved within its limit; a frozen device is no source."""
        name = self.endpoint.device.heartbeat
        if name is None:
            return True
        if values[name] != self._beat[0]:
            self._beat = (values[name], now_ns)
        return now_ns - self._beat[1] <= self.endpoint.device.heartbeat_limit_s * 1e9


async def check_all(pollers: list[Poller]) -> list[str]:
    """Poll every device once, side by side; returns one message for each that fails."""
    results = await asyncio.gather(*(p.check() for p in pollers), return_exceptions=True)
    return [str(result) for result in results if isinstance(result, BaseException)]


async def run_all(pollers: list[Poller]) -> None:
    """Poll every device for ever, each at its own rate; none waits for another."""
    await asyncio.gather(*(poller.run() for poller in pollers))
