"""A smart camera: a sequence number triggers it, the pose comes back under the same number."""

from drivers.devices.modbus_description import (
    Encoding,
    ModbusDescription,
    ModbusRegister,
    Table,
)

_I, _H = Table.INPUT, Table.HOLDING

DEVICE = ModbusDescription(
    name="smart_camera",
    title="smart camera, pose of one sheet or layer",
    registers=(
        ModbusRegister("trigger", _H, 0, Encoding.U32),
        ModbusRegister("sequence", _I, 0, Encoding.U32),
        ModbusRegister("result", _I, 2, Encoding.U16),
        ModbusRegister("x", _I, 3, Encoding.I32, 1e-8, -0.01, 0.01),
        ModbusRegister("y", _I, 5, Encoding.I32, 1e-8, -0.01, 0.01),
        ModbusRegister("theta", _I, 7, Encoding.I32, 1e-8, -0.2, 0.2),
        ModbusRegister("heartbeat", _I, 9, Encoding.U16),
    ),
    values=("x", "y", "theta"),
    status="result",
    heartbeat="heartbeat",
    trigger="trigger",
    sequence="sequence",
    period_s=0.002,
)
