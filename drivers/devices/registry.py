"""The models Foldline knows: add a device file and one line here."""

from drivers.devices import (
    dancer_sensor,
    generic_analogue_terminal,
    generic_compact_drive,
    generic_csp_drive,
    generic_digital_terminal,
    io_block,
    load_cell,
    smart_camera,
)
from drivers.devices.description import DeviceDescription
from drivers.devices.modbus_description import ModbusDescription

DEVICES: dict[str, DeviceDescription] = {
    module.DEVICE.name: module.DEVICE
    for module in (
        generic_csp_drive,
        generic_compact_drive,
        generic_digital_terminal,
        generic_analogue_terminal,
    )
}

MODBUS_DEVICES: dict[str, ModbusDescription] = {
    module.DEVICE.name: module.DEVICE
    for module in (smart_camera, load_cell, dancer_sensor, io_block)
}


def device(name: str) -> DeviceDescription:
    """Return the description of a model; KeyError lists the known ones."""
    try:
        return DEVICES[name]
    except KeyError:
        known = ", ".join(sorted(DEVICES))
        raise KeyError(f"unknown device {name!r}; known: {known}") from None
