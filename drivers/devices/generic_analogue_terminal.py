"""An analogue input terminal: eight signed 16-bit channels."""

from drivers.devices.description import (
    Access,
    DeviceDescription,
    DeviceKind,
    DeviceObject,
    Identity,
    ObjectType,
    Pdo,
    StartupWrite,
)

CHANNELS = 8
_VALUES = tuple(
    DeviceObject(0x6000, n, ObjectType.I16, f"value {n}") for n in range(1, CHANNELS + 1)
)
_FILTER = DeviceObject(0x8000, 6, ObjectType.U8, "filter", Access.READ_WRITE, 1)

DEVICE = DeviceDescription(
    name="generic_analogue_terminal",
    title="analogue terminal, 8 inputs of 16 bits",
    kind=DeviceKind.TERMINAL,
    identity=Identity(0x0000F01D, 0x00A10800, 0x00010000),
    objects=(*_VALUES, _FILTER),
    outputs=(),
    inputs=(Pdo(0x1A00, tuple((0x6000, n) for n in range(1, CHANNELS + 1))),),
    startup=(StartupWrite(0x8000, 6, ObjectType.U8, 0),),
    distributed_clock=False,
)
