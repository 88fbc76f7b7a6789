"""The models Foldline knows: add a device file and one line here."""

from drivers.devices import (
    generic_analogue_terminal,
    generic_compact_drive,
    generic_csp_drive,
    generic_digital_terminal,
)
from drivers.devices.description import DeviceDescription

DEVICES: dict[str, DeviceDescription] = {
    module.DEVICE.name: module.DEVICE
    for module in (
        generic_csp_drive,
        generic_compact_drive,
        generic_digital_terminal,
        generic_analogue_terminal,
    )
}


def device(name: str) -> DeviceDescription:
    """Return the description of a model; KeyError lists the known ones."""
    try:
        return DEVICES[name]
    except KeyError:
        known = ", ".join(sorted(DEVICES))
        raise KeyError(f"unknown device {name!r}; known: {known}") from None
