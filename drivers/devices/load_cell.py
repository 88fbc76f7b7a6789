"""A load cell amplifier at the web's guide roller: tension as a 32-bit integer, millinewtons."""

from drivers.devices.modbus_description import (
    Encoding,
    ModbusDescription,
    ModbusRegister,
    Table,
)

_I = Table.INPUT

DEVICE = ModbusDescription(
    name="load_cell",
    title="load cell amplifier, web tension",
    registers=(
        ModbusRegister("status", _I, 0, Encoding.U16),
        ModbusRegister("tension", _I, 1, Encoding.I32, 1e-3, -5.0, 50.0),
        ModbusRegister("heartbeat", _I, 3, Encoding.U16),
    ),
    values=("tension",),
    status="status",
    heartbeat="heartbeat",
    period_s=0.01,
)
