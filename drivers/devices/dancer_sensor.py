"""A laser distance sensor at the dancer: RTU over TCP, a float in metres with its words swapped."""

from drivers.devices.modbus_description import (
    Encoding,
    ModbusDescription,
    ModbusRegister,
    Table,
)

DEVICE = ModbusDescription(
    name="dancer_sensor",
    title="laser distance sensor, dancer position",
    registers=(
        ModbusRegister("position", Table.HOLDING, 16, Encoding.F32, 1.0, -0.05, 0.05),
        ModbusRegister("status", Table.HOLDING, 18, Encoding.U16),
    ),
    values=("position",),
    status="status",
    words_swapped=True,
    rtu_over_tcp=True,
    unit_id=7,
    period_s=0.01,
)
