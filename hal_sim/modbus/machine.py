"""The machine's Modbus devices: cameras, load cell, dancer sensor and I/O block in front of a process image.

The image is the plant's own: triggers become its outputs, its readings become registers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from drivers.devices.registry import MODBUS_DEVICES
from drivers.image import ReadingQuality
from hal_sim.modbus.server import SimModbusDevice

PORT_FIRST = 5020
DEVICE_NAMES = (
    *("SHEET_CAMERA_ANODE", "SHEET_CAMERA_CATHODE", "STACK_CAMERA"),
    *("TENSION", "DANCER", "IO_BLOCK"),
)
Place = tuple[int, str, str, int]  # station, name of the reading, host, port
_LIGHTS = ("light_red", "light_amber", "light_green")


@dataclass(frozen=True)
class CameraView:
    """Where one camera lives in a station's image."""

    reading: Callable[[], np.void]
    trigger: Callable[[int], None]


def _camera(view: CameraView) -> SimModbusDevice:
    def source() -> dict[str, float]:
        reading = view.reading()
        return {
            "sequence": float(reading["sequence"]),
            "result": 0.0 if reading["quality"] == ReadingQuality.GOOD else 1.0,
            "x": float(reading["x_m"]),
            "y": float(reading["y_m"]),
            "theta": float(reading["theta_rad"]),
        }

    def sink(name: str, value: float) -> None:
        if name == "trigger":
            view.trigger(int(value))

    return SimModbusDevice(MODBUS_DEVICES["smart_camera"], source, sink)


def _sheet_camera(inputs: np.void, outputs: np.void, polarity: int) -> SimModbusDevice:
    def trigger(sequence: int) -> None:
        outputs["sheet_camera_trigger"][polarity] = sequence

    return _camera(CameraView(lambda: inputs["sheet_cameras"][polarity], trigger))


def _stack_camera(inputs: np.void, outputs: np.void) -> SimModbusDevice:
    def trigger(sequence: int) -> None:
        outputs["stack_camera_trigger"] = sequence

    return _camera(CameraView(lambda: inputs["stack_camera"], trigger))


def _io_block(inputs: np.void, outputs: np.void) -> SimModbusDevice:
    def source() -> dict[str, float]:
        return {
            "anode_sheets": float(inputs["magazine_sheets"][0]),
            "cathode_sheets": float(inputs["magazine_sheets"][1]),
            "hipot_resistance": float(inputs["hipot_resistance_ohm"]),
        }

    def sink(name: str, value: float) -> None:
        if name == "hipot_test":
            outputs["hipot_test"] = int(value)
        elif name in _LIGHTS:
            mask = 1 << _LIGHTS.index(name)
            outputs["stack_light"] = (int(outputs["stack_light"]) & ~mask) | (mask if value else 0)

    return SimModbusDevice(MODBUS_DEVICES["io_block"], source, sink)


def station_devices(image: np.void, station: int) -> dict[str, SimModbusDevice]:
    """Return a station's devices by the name of the reading they give."""
    inputs = image["inputs"]["stations"][station]
    outputs = image["outputs"]["stations"][station]
    return {
        "SHEET_CAMERA_ANODE": _sheet_camera(inputs, outputs, 0),
        "SHEET_CAMERA_CATHODE": _sheet_camera(inputs, outputs, 1),
        "STACK_CAMERA": _stack_camera(inputs, outputs),
        "TENSION": SimModbusDevice(
            MODBUS_DEVICES["load_cell"], lambda: {"tension": float(inputs["tension_n"])}
        ),
        "DANCER": SimModbusDevice(
            MODBUS_DEVICES["dancer_sensor"],
            lambda: {"position": float(inputs["dancer_position_m"])},
        ),
        "IO_BLOCK": _io_block(inputs, outputs),
    }


async def start_at(
    image: np.void, places: Sequence[Place]
) -> dict[tuple[int, str], SimModbusDevice]:
    """Start devices where they are wanted; keyed by station and name."""
    started: dict[tuple[int, str], SimModbusDevice] = {}
    for station, name, host, port in places:
        device = station_devices(image, station)[name]
        await device.start(host, port)
        started[station, name] = device
    return started


def consecutive(stations: int, port_first: int, host: str = "127.0.0.1") -> list[Place]:
    """Return places for every device of every station, on consecutive ports (0: any)."""
    names = [(station, name) for station in range(stations) for name in DEVICE_NAMES]
    return [
        (station, name, host, port_first + n if port_first else 0)
        for n, (station, name) in enumerate(names)
    ]


async def start_devices(
    image: np.void, stations: int, host: str = "127.0.0.1", port_first: int = PORT_FIRST
) -> dict[tuple[int, str], SimModbusDevice]:
    """Start every device of every station on consecutive ports (0: any); keyed by station and name."""
    return await start_at(image, consecutive(stations, port_first, host))
