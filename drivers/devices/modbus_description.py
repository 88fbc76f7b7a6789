"""What a Modbus device file says: registers, encodings, limits, status and heartbeat, as data."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class Table(Enum):
    """The four Modbus tables."""

    COIL = "coil"
    DISCRETE = "discrete input"
    INPUT = "input register"
    HOLDING = "holding register"


class Encoding(Enum):
    """How a value lies in registers: (registers, struct format); BIT is for coils and discrete inputs."""

    BIT = (1, "")
    U16 = (1, "H")
    I16 = (1, "h")
    U32 = (2, "I")
    I32 = (2, "i")
    F32 = (2, "f")

    @property
    def registers(self) -> int:
        """How many registers it takes."""
        return self.value[0]

    @property
    def format(self) -> str:
        """Its `struct` character."""
        return self.value[1]


@dataclass(frozen=True, slots=True)
class ModbusRegister:
    """One value: where it lies, `value = counts * unit_per_count`, and what is plausible (SI units)."""

    name: str
    table: Table
    address: int
    encoding: Encoding
    unit_per_count: float = 1.0
    minimum: float = float("-inf")
    maximum: float = float("inf")


@dataclass(frozen=True, slots=True)
class ModbusDescription:
    """One Modbus model.

    `status` names a register that reads 0 where all is well, `heartbeat` one that keeps changing, `trigger`
    one that takes a sequence number, `sequence` where the result's number comes back.
    """

    name: str
    title: str
    registers: tuple[ModbusRegister, ...]
    values: tuple[str, ...]  # the readings, in the order x, y, theta where it is a pose
    status: str | None = None
    heartbeat: str | None = None
    trigger: str | None = None
    sequence: str | None = None
    words_swapped: bool = False
    rtu_over_tcp: bool = False
    unit_id: int = 1
    period_s: float = 0.02
    heartbeat_limit_s: float = 1.0

    def register(self, name: str) -> ModbusRegister:
        """Return a register by name; KeyError names the device."""
        for register in self.registers:
            if register.name == name:
                return register
        raise KeyError(f"{self.name}: no register {name!r}")

    def decode(self, register: ModbusRegister, words: Sequence[int]) -> float:
        """Return the SI value of raw registers (or of one bit)."""
        if register.encoding is Encoding.BIT:
            return float(words[0])
        ordered = tuple(reversed(words)) if self.words_swapped else tuple(words)
        raw = struct.pack(f">{len(ordered)}H", *ordered)
        count: float = struct.unpack(">" + register.encoding.format, raw)[0]
        return count * register.unit_per_count

    def encode(self, register: ModbusRegister, value: float) -> list[int]:
        """Return the raw registers of an SI value; OverflowError where it does not fit."""
        if register.encoding is Encoding.BIT:
            return [int(bool(value))]
        count = value / register.unit_per_count
        number = count if register.encoding is Encoding.F32 else round(count)
        try:
            raw = struct.pack(">" + register.encoding.format, number)
        except struct.error:
            raise OverflowError(f"{self.name}.{register.name} = {value}: does not fit") from None
        words = list(struct.unpack(f">{register.encoding.registers}H", raw))
        return words[::-1] if self.words_swapped else words
