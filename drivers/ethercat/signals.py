"""Signals: the scalars of the process image that a terminal's channel can carry."""

from dataclasses import dataclass
from enum import IntEnum


class SignalId(IntEnum):
    """Where a terminal's channel lands in a station's part of the image."""

    EMERGENCY_STOP_OK = 0
    SAFE_TORQUE_OFF_OK = 1
    DOOR_CLOSED = 2
    AIR_PRESSURE_OK = 3
    SPLICE_DETECTED = 4
    VACUUM = 5
    SHEET_THICKNESS = 6
    MAGAZINE_SHEETS = 7
    TENSION = 8
    DANCER_POSITION = 9
    LOOP_LENGTH = 10
    ROLL_RADIUS = 11
    WEB_EDGE = 12
    HIPOT_RESISTANCE = 13
    VACUUM_ON = 14  # the first output
    HIPOT_TEST = 15
    STACK_LIGHT = 16  # the element is the lamp's bit
    STACK_CLAMP = 17
    CONVEYOR = 18


FIRST_OUTPUT = SignalId.VACUUM_ON


@dataclass(frozen=True, slots=True)
class Channel:
    """A terminal's channel tied to a signal: `value = counts * unit_per_count`, SI units."""

    index: int
    subindex: int
    signal: SignalId
    element: int = 0
    unit_per_count: float = 1.0


def _row(signals: list[tuple[SignalId, int, float]]) -> tuple[Channel, ...]:
    return tuple(
        Channel(0x6000, n, signal, element, scale)
        for n, (signal, element, scale) in enumerate(signals, 1)
    )


_S = SignalId

DIGITAL_CHANNELS: tuple[Channel, ...] = (
    *_row([(signal, 0, 1.0) for signal in list(SignalId)[:5]]),
    *(Channel(0x7000, n + 1, _S.VACUUM_ON, n) for n in range(4)),
    Channel(0x7000, 5, _S.HIPOT_TEST),
    *(Channel(0x7000, 6 + lamp, _S.STACK_LIGHT, lamp) for lamp in range(3)),
    Channel(0x7000, 9, _S.STACK_CLAMP),
    Channel(0x7000, 10, _S.CONVEYOR),
)
HANDLING_CHANNELS: tuple[Channel, ...] = _row(
    [(_S.VACUUM, n, 4.0) for n in range(4)]
    + [(_S.SHEET_THICKNESS, n, 1e-7) for n in range(2)]
    + [(_S.LOOP_LENGTH, 0, 1e-4), (_S.ROLL_RADIUS, 0, 1e-5)]
)
WEB_CHANNELS: tuple[Channel, ...] = _row(
    [
        (_S.WEB_EDGE, 0, 1e-6),
        (_S.TENSION, 0, 1e-3),
        (_S.DANCER_POSITION, 0, 2e-6),
        (_S.MAGAZINE_SHEETS, 0, 1.0),
        (_S.MAGAZINE_SHEETS, 1, 1.0),
        (_S.HIPOT_RESISTANCE, 0, 1e6),
    ]
)
