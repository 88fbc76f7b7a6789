"""A remote I/O block: magazine levels, insulation test, stack light and hipot start as coils."""

from drivers.devices.modbus_description import (
    Encoding,
    ModbusDescription,
    ModbusRegister,
    Table,
)

_I, _C = Table.INPUT, Table.COIL

DEVICE = ModbusDescription(
    name="io_block",
    title="remote I/O block",
    registers=(
        ModbusRegister("anode_sheets", _I, 0, Encoding.U16, 1.0, 0.0, 10_000.0),
        ModbusRegister("cathode_sheets", _I, 1, Encoding.U16, 1.0, 0.0, 10_000.0),
        ModbusRegister("hipot_resistance", _I, 2, Encoding.F32, 1.0, 0.0, 1e12),
        ModbusRegister("heartbeat", _I, 32, Encoding.U16),
        ModbusRegister("hipot_test", _C, 0, Encoding.BIT),
        ModbusRegister("light_red", _C, 1, Encoding.BIT),
        ModbusRegister("light_amber", _C, 2, Encoding.BIT),
        ModbusRegister("light_green", _C, 3, Encoding.BIT),
    ),
    values=("anode_sheets", "cathode_sheets", "hipot_resistance"),
    heartbeat="heartbeat",
    period_s=0.05,
)
