"""What a Modbus device hands over: values with their time stamp, sequence and quality."""

from dataclasses import dataclass

import numpy as np

from drivers.devices.modbus_description import ModbusDescription
from drivers.image import CAMERA_READING_DTYPE, ReadingQuality


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One device in the configuration: what it is, where it answers, and whose reading it gives."""

    device: ModbusDescription
    host: str
    port: int
    station: int = 0
    channel: str = ""  # the reading's name on the other side
    timeout_s: float = 0.25
    period_s: float | None = None  # None: the device file's
    backoff_s_min: float = 0.1
    backoff_s_max: float = 5.0

    @property
    def label(self) -> str:
        """The device in a message."""
        return (
            f"station {self.station} {self.channel or self.device.name} ({self.host}:{self.port})"
        )


@dataclass(frozen=True, slots=True)
class Reading:
    """Values of one poll (SI, in the order of the device's `values`), taken at `captured_ns` monotonic."""

    station: int
    channel: str
    captured_ns: int
    values: tuple[float, ...]
    quality: ReadingQuality
    sequence: int = 0

    def record(self) -> np.void:
        """Return it as a CAMERA_READING_DTYPE record; a scalar travels in `x_m`."""
        padded = (*self.values, 0.0, 0.0, 0.0)[:3]
        row = np.zeros(1, CAMERA_READING_DTYPE)[0]
        row["captured_ns"], row["sequence"] = self.captured_ns, self.sequence
        row["x_m"], row["y_m"], row["theta_rad"] = padded
        row["quality"] = self.quality
        return row
