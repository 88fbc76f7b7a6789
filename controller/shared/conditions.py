"""Conditions: what the scan can know to be true. Gates, interlocks and start inhibits all refer to them.

The scan evaluates each condition once a cycle; an interlock row says which alarm its absence raises and
whether it inhibits a start.
"""

from dataclasses import dataclass
from enum import IntEnum

from controller.shared.alarms import AlarmId


class ConditionId(IntEnum):
    """Index of the condition table; polarity pairs are adjacent, anode first."""

    ALWAYS = 0
    EMERGENCY_STOP_OK = 1
    SAFE_TORQUE_OFF_OK = 2
    DOOR_CLOSED = 3
    AIR_PRESSURE_OK = 4
    BUS_OPERATIONAL = 5
    DRIVES_ENABLED = 6
    AXES_HOMED = 7
    PLAN_VALID = 8
    RECORDS_HAVE_ROOM = 9
    ANODES_AVAILABLE = 10
    CATHODES_AVAILABLE = 11
    READINGS_FRESH = 12
    ANODE_SHEET_READY = 13  # on the stage: measured and corrected, or no sheet there
    CATHODE_SHEET_READY = 14
    ANODE_PICKED = 15  # every gripper of the arm that was asked to hold does
    CATHODE_PICKED = 16
    ANODE_RELEASED = 17  # every gripper of the arm that was asked to let go has
    CATHODE_RELEASED = 18
    LEFT_FINGERS_CLAMPED = 19
    RIGHT_FINGERS_CLAMPED = 20
    LEFT_FINGERS_CLEAR = 21
    RIGHT_FINGERS_CLEAR = 22
    TABLE_IN_POSITION = 23
    MOVES_DONE = 24
    TENSION_PRESENT = 25
    RUNNING = 26  # the machine's state lets the masters run
    LOAD_QUIET = 27  # the table's load will stand still where its encoder does
    PICK_BEGUN = 28  # the arm that left the stack stands on its stage
    ARMS_CLEAR = 29  # both above the clearance height
    WRAPPING_PLACE_FREE = 30
    TAIL_CUT = 31  # no web hangs from the new cell to the old one
    SHEET_BROUGHT = 32  # the arm that comes to the stack did not lose its sheet, or has another


CONDITION_COUNT = len(ConditionId)


@dataclass(frozen=True)
class Interlock:
    """A condition that must hold: the alarm its absence raises, and whether it inhibits a start."""

    condition: ConditionId
    alarm: AlarmId
    inhibits_start: bool
    cause: str
    remedy: str


_I, _K, _A = Interlock, ConditionId, AlarmId

INTERLOCKS: tuple[Interlock, ...] = (
    _I(_K.EMERGENCY_STOP_OK, _A.EMERGENCY_STOP, True, "emergency stop", "release the button"),
    _I(_K.SAFE_TORQUE_OFF_OK, _A.SAFE_TORQUE_OFF, True, "safe torque off", "close the circuit"),
    _I(_K.DOOR_CLOSED, _A.DOOR_OPEN, True, "a door is open", "close the door"),
    _I(_K.AIR_PRESSURE_OK, _A.AIR_PRESSURE_LOW, True, "air pressure is low", "check the supply"),
    _I(_K.BUS_OPERATIONAL, _A.BUS_DOWN, True, "the fieldbus is down", "check cable and slaves"),
    _I(_K.READINGS_FRESH, _A.READING_STALE, True, "a reading is stale", "check the device"),
    _I(_K.DRIVES_ENABLED, _A.NONE, True, "drives are not enabled", "Clear or Reset"),
    _I(_K.AXES_HOMED, _A.NONE, True, "axes are not homed", "Reset"),
    _I(_K.PLAN_VALID, _A.NONE, True, "no valid plan", "load a recipe"),
    _I(_K.RECORDS_HAVE_ROOM, _A.RECORDS_UNACKNOWLEDGED, True, "records not stored", "check disk"),
    _I(_K.ANODES_AVAILABLE, _A.MAGAZINE_EMPTY, True, "no anodes", "fill the magazine"),
    _I(_K.CATHODES_AVAILABLE, _A.MAGAZINE_EMPTY, True, "no cathodes", "fill the magazine"),
)
