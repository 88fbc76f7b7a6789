"""A digital terminal: sixteen inputs, sixteen outputs, one bit a channel, no mailbox."""

from drivers.devices.description import (
    Access,
    DeviceDescription,
    DeviceKind,
    DeviceObject,
    Identity,
    ObjectType,
    Pdo,
    Quirks,
)

CHANNELS = 16
_INPUTS = tuple(
    DeviceObject(0x6000, n, ObjectType.BIT, f"input {n}") for n in range(1, CHANNELS + 1)
)
_OUTPUTS = tuple(
    DeviceObject(0x7000, n, ObjectType.BIT, f"output {n}", Access.READ_WRITE)
    for n in range(1, CHANNELS + 1)
)

DEVICE = DeviceDescription(
    name="generic_digital_terminal",
    title="digital terminal, 16 inputs and 16 outputs",
    kind=DeviceKind.TERMINAL,
    identity=Identity(0x0000F01D, 0x00D11616, 0x00010000),
    objects=_INPUTS + _OUTPUTS,
    outputs=(Pdo(0x1600, tuple((0x7000, n) for n in range(1, CHANNELS + 1))),),
    inputs=(Pdo(0x1A00, tuple((0x6000, n) for n in range(1, CHANNELS + 1))),),
    mailbox=None,
    distributed_clock=False,
    quirks=Quirks(),
)
