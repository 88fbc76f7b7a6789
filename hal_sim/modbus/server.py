"""A Modbus device on a socket: registers from its device file, values from a source, faults on demand."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from pymodbus import FramerType
from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from drivers.devices.modbus_description import Encoding, ModbusDescription, ModbusRegister, Table

Source = Callable[[], Mapping[str, float]]
Sink = Callable[[str, float], None]
_READS = {1: Table.COIL, 2: Table.DISCRETE, 3: Table.HOLDING, 4: Table.INPUT}
_WRITES = {5: Table.COIL, 6: Table.HOLDING, 15: Table.COIL, 16: Table.HOLDING}


class ModbusFault(Enum):
    """What a device does wrong while a fault is set."""

    NONE = 0
    TIMEOUT = 1  # no answer
    SHORT_FRAME = 2
    EXCEPTION = 3  # server device failure
    WRONG_TRANSACTION = 4
    FROZEN = 5  # values and heartbeat stand still
    RECONNECT_STORM = 6  # the connection is dropped after each answer


@dataclass
class SimModbusDevice:
    """One simulated device: `source` gives SI values by register name, `sink` takes what is written."""

    device: ModbusDescription
    source: Source
    sink: Sink = lambda _name, _value: None
    fault: ModbusFault = ModbusFault.NONE
    requests: int = 0
    host: str = ""
    port: int = 0
    _frozen: dict[str, float] = field(default_factory=dict)
    _beat: int = 0

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen; with port 0 the system chooses one, told in `port`."""
        framer = FramerType.RTU if self.device.rtu_over_tcp else FramerType.SOCKET
        self._server = ModbusTcpServer(
            self._simulated(), framer=framer, address=(host, port), trace_packet=self._on_packet
        )
        await self._server.serve_forever(background=True)
        listener: Any = self._server.transport
        self.host = host
        self.port = listener.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close the socket and every connection."""
        await self._server.shutdown()

    def _simulated(self) -> SimDevice:
        blocks: dict[Table, list[SimData]] = {}
        for table in Table:
            rows = [r for r in self.device.registers if r.table is table]
            last = max((r.address + r.encoding.registers for r in rows), default=1)
            bits = table in (Table.COIL, Table.DISCRETE)
            if bits:
                count = -(-last // 16)
                blocks[table] = [SimData(0, count=count, values=0, datatype=DataType.BITS)]
            else:
                blocks[table] = [SimData(0, count=last, values=0, datatype=DataType.REGISTERS)]
        data = (
            blocks[Table.COIL], blocks[Table.DISCRETE], blocks[Table.HOLDING], blocks[Table.INPUT],
        )  # fmt: skip
        return SimDevice(self.device.unit_id, simdata=data, action=self._on_request)

    async def _on_request(
        self,
        function: int,
        start: int,
        address: int,
        count: int,
        registers: list[int],
        values: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        """Refresh the block before it is read, and hand on what is written."""
        self.requests += 1
        if self.fault is ModbusFault.EXCEPTION:
            return ExcCodes.DEVICE_FAILURE
        if values is not None and function in _WRITES:
            self._take(_WRITES[function], address, values)
        elif function in (3, 4):
            self._refresh(_READS[function], start, registers)
        return None

    def _take(self, table: Table, address: int, values: list[int] | list[bool]) -> None:
        for register in self.device.registers:
            first = register.address - address
            last = first + register.encoding.registers
            if register.table is table and first >= 0 and last <= len(values):
                words = [int(value) for value in values[first:last]]
                self.sink(register.name, self.device.decode(register, words))

    def _refresh(self, table: Table, start: int, registers: list[int]) -> None:
        if self.fault is not ModbusFault.FROZEN or not self._frozen:
            self._frozen = dict(self.source())
            self._beat = (self._beat + 1) & 0xFFFF
        for register in self.device.registers:
            if register.table is table and register.encoding is not Encoding.BIT:
                words = self._encoded(register)
                place = register.address - start
                registers[place : place + len(words)] = words

    def _encoded(self, register: ModbusRegister) -> list[int]:
        if register.name == self.device.heartbeat:
            return [self._beat]
        return self.device.encode(register, self._frozen.get(register.name, 0.0))

    def _on_packet(self, sending: bool, packet: bytes) -> bytes:
        if not sending or self.fault is ModbusFault.NONE:
            return packet
        if self.fault is ModbusFault.TIMEOUT:
            return b""
        if self.fault is ModbusFault.SHORT_FRAME:
            return packet[: len(packet) // 2]
        if self.fault is ModbusFault.WRONG_TRANSACTION:
            return bytes([packet[0] ^ 0x55]) + packet[1:]
        if self.fault is ModbusFault.RECONNECT_STORM:
            asyncio.get_running_loop().call_soon(self._drop_connections)
        return packet

    def _drop_connections(self) -> None:
        connections: dict[Any, Any] = self._server.active_connections
        for connection in list(connections.values()):
            connection.close()
