"""What stands in the way of moving an axis by hand: guards, and the table of who needs which.

A row says that an axis may be jogged in a direction only while a guard holds; the axes without a row
move freely inside their soft limits.
"""

from dataclasses import dataclass
from enum import IntEnum

from drivers.image import AxisId


class Guard(IntEnum):
    """What must be so; `own` is what belongs to the axis that is to move."""

    NONE = 0
    NOT_BY_HAND = 1
    OWN_ARM_UP = 2
    OWN_ARM_LANDS = 3
    ARMS_AWAY = 4
    OWN_FINGER_UP = 5
    OWN_FINGER_AT_END = 6
    TABLE_CLEARED = 7
    CUTTER_AT_END = 8
    TAPE_HOME = 9
    WEB_CUT = 10
    WEB_NOT_CUT = 11


GUARD_TEXTS: dict[Guard, str] = {
    Guard.NONE: "",
    Guard.NOT_BY_HAND: "this axis follows the web by itself",
    Guard.OWN_ARM_UP: "the arm is down: raise it first",
    Guard.OWN_ARM_LANDS: (
        "the arm may come down at its magazine, or over the table at its end with the free fingers "
        "out and up"
    ),
    Guard.ARMS_AWAY: "an arm is down over the table: raise it first",
    Guard.OWN_FINGER_UP: "the finger is down: raise it first",
    Guard.OWN_FINGER_AT_END: "the finger stands half way in: move it in or out first",
    Guard.TABLE_CLEARED: "a cell was begun: its fold would come loose; Reset clears the table",
    Guard.CUTTER_AT_END: "the cutter stands half way: move it home or through first",
    Guard.TAPE_HOME: "the tape applicator is out: move it home first",
    Guard.WEB_CUT: "the web is on the table: cut it first",
    Guard.WEB_NOT_CUT: "the cutter's clamp holds the web: Reset threads it anew",
}


@dataclass(frozen=True)
class JogRule:
    """One row: these axes, in this direction (+1, -1, or 0 for either), need this guard."""

    axes: tuple[AxisId, ...]
    direction: int
    guard: Guard


def _named(*parts: str) -> tuple[AxisId, ...]:
    return tuple(axis for axis in AxisId if all(part in axis.name for part in parts))


_ARMS_X, _ARMS_Z = _named("ARM_X"), _named("ARM_Z")
_FINGERS = _named("FINGER")
_TABLE = (AxisId.TABLE_X, AxisId.TABLE_Z)
_TURNING = (AxisId.WRAP, AxisId.CHANGER)
_WEB = (AxisId.FEED, AxisId.UNWIND, AxisId.DANCER, AxisId.EDGE)

JOG_RULES: tuple[JogRule, ...] = (
    JogRule(_WEB, 0, Guard.NOT_BY_HAND),
    JogRule(_ARMS_X, 0, Guard.OWN_ARM_UP),
    JogRule(_ARMS_Z, -1, Guard.OWN_ARM_LANDS),
    JogRule(_named("STAGE"), 0, Guard.OWN_ARM_UP),
    JogRule((*_TABLE, *_TURNING, AxisId.TAPE), 0, Guard.ARMS_AWAY),
    JogRule((*_FINGERS, *_TURNING, AxisId.TABLE_Z), 0, Guard.TABLE_CLEARED),
    JogRule(_named("FINGER", "_IN"), 0, Guard.OWN_FINGER_UP),
    JogRule(_named("FINGER", "_DOWN"), 0, Guard.OWN_FINGER_AT_END),
    JogRule((*_TABLE, *_TURNING), 0, Guard.TAPE_HOME),
    JogRule((AxisId.TABLE_X,), 0, Guard.CUTTER_AT_END),
    JogRule((*_TURNING, AxisId.TABLE_Z), 0, Guard.WEB_CUT),
    JogRule((AxisId.CUT,), -1, Guard.WEB_NOT_CUT),
)
