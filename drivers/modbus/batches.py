"""Neighbouring registers read in one request."""

from dataclasses import dataclass

from drivers.devices.modbus_description import ModbusDescription, ModbusRegister, Table

GAP_MAX = 8  # registers read in vain are cheaper than another round trip
COUNT_MAX = 120  # a response holds 125


@dataclass(frozen=True, slots=True)
class Batch:
    """One read request and the registers it brings."""

    table: Table
    address: int
    count: int
    registers: tuple[ModbusRegister, ...]

    def words(self, register: ModbusRegister, answer: list[int]) -> list[int]:
        """Cut one register's words out of the answer."""
        start = register.address - self.address
        return answer[start : start + register.encoding.registers]


def batches(device: ModbusDescription) -> tuple[Batch, ...]:
    """Return the fewest read requests for a device's inputs; triggers and coils are written, not read."""
    found: list[Batch] = []
    readable = [
        r for r in device.registers if r.name != device.trigger and r.table is not Table.COIL
    ]
    for register in sorted(readable, key=lambda r: (r.table.value, r.address)):
        last = found[-1] if found else None
        end = register.address + register.encoding.registers
        if (
            last is None
            or last.table is not register.table
            or register.address - (last.address + last.count) > GAP_MAX
            or end - last.address > COUNT_MAX
        ):
            found.append(
                Batch(register.table, register.address, end - register.address, (register,))
            )
        else:
            found[-1] = Batch(
                last.table, last.address, end - last.address, (*last.registers, register)
            )
    return tuple(found)
