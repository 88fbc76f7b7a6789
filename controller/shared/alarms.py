"""The alarm table: what can be wrong, why, what to do, how the machine reacts, how it resets.

The loop emits an AlarmId; only the gateway turns it into words. A new alarm is one member and one row.
"""

from dataclasses import dataclass
from enum import IntEnum


class AlarmClass(IntEnum):
    """Who has to care (and the OPC UA severity, in steps of 200)."""

    NOTICE = 1
    WARNING = 2
    PROCESS = 3
    DEVICE = 4
    SAFETY = 5


class Reaction(IntEnum):
    """What the machine does at once, in rising order of severity."""

    NONE = 0
    SUSPEND = 1
    HOLD = 2
    STOP = 3
    ABORT = 4


class ResetRule(IntEnum):
    """When an alarm goes: with its cause, or by Clear or Reset after its cause has gone."""

    AUTOMATIC = 0
    ON_COMMAND = 1


class AlarmId(IntEnum):
    """Dense index of the alarm table."""

    NONE = 0
    EMERGENCY_STOP = 1
    SAFE_TORQUE_OFF = 2
    DOOR_OPEN = 3
    AIR_PRESSURE_LOW = 4
    BUS_DOWN = 5
    BUS_DEGRADED = 6
    DRIVE_FAULT = 7
    DRIVE_NOT_ENABLED = 8
    FOLLOWING_ERROR = 9
    SOFT_LIMIT = 10
    HOMING_FAILED = 11
    CYCLE_OVERRUN = 12
    PICK_MISSED = 13
    PICK_FAILED = 14
    MAGAZINE_EMPTY = 15
    DOUBLE_SHEET = 16
    SHEET_CAMERA_LATE = 17
    SHEET_CAMERA_FAILED = 18
    SHEET_OUT_OF_RANGE = 19
    STACK_CAMERA_LATE = 20
    VACUUM_LOST = 21
    RELEASE_LATE = 22
    FINGER_NOT_CLAMPED = 23
    TENSION_WARNING = 24
    TENSION_OUT_OF_LIMITS = 25
    WEB_SLACK = 26
    WEB_BREAK = 27
    DANCER_LIMIT = 28
    ROLL_ENDING = 29
    SPLICE = 30
    READING_STALE = 31
    RECORDS_UNACKNOWLEDGED = 32
    MOTION_REFUSED = 33
    GATE_TIMEOUT = 34
    WEB_EDGE = 35
    HIPOT_FAILED = 36
    ALIGNMENT_FAILED = 37
    INTERNAL = 38
    VISION_FAILED = 39
    SHEETS_MISALIGNED = 40
    SHEET_OVER_STACK = 41


@dataclass(frozen=True)
class AlarmDefinition:
    """One row: the words and the rules of an alarm."""

    code: int
    alarm_class: AlarmClass
    reaction: Reaction
    reset: ResetRule
    text: str
    cause: str
    remedy: str


_N, _W, _P, _D, _F = AlarmClass  # notice, warning, process, device, safety
_R, _A = Reaction, ResetRule.AUTOMATIC
_C = ResetRule.ON_COMMAND
_row = AlarmDefinition

ALARMS: dict[AlarmId, AlarmDefinition] = {
    AlarmId.NONE: _row(0, _N, _R.NONE, _A, "no alarm", "", ""),
    AlarmId.EMERGENCY_STOP: _row(
        1001, _F, _R.ABORT, _C, "emergency stop", "the emergency stop circuit is open",
        "release the button, then Clear and Reset",
    ),
    AlarmId.SAFE_TORQUE_OFF: _row(
        1002, _F, _R.ABORT, _C, "safe torque off", "the safety circuit removed the drives' torque",
        "find what opened the safety circuit, then Clear and Reset",
    ),
    AlarmId.DOOR_OPEN: _row(
        1003, _F, _R.ABORT, _C, "door open", "a guard door is open", "close the door, then Clear",
    ),
    AlarmId.AIR_PRESSURE_LOW: _row(
        1004, _D, _R.HOLD, _C, "air pressure low", "the air supply is below its limit",
        "check compressor and valve, then Unhold",
    ),
    AlarmId.BUS_DOWN: _row(
        2001, _D, _R.ABORT, _C, "fieldbus down", "too many cycles in a row without fresh inputs",
        "check cable, link and slaves (foldline bus), then Clear",
    ),
    AlarmId.BUS_DEGRADED: _row(
        2002, _W, _R.NONE, _A, "fieldbus degraded", "frames were lost or came late",
        "check cabling and the load of the PC",
    ),
    AlarmId.DRIVE_FAULT: _row(
        2101, _D, _R.ABORT, _C, "drive fault", "a drive reports a fault",
        "read the drive's error code, remove its cause, then Clear",
    ),
    AlarmId.DRIVE_NOT_ENABLED: _row(
        2102, _D, _R.ABORT, _C, "drive not enabled", "a drive left OPERATION ENABLED by itself",
        "check its supply and enable circuit, then Clear",
    ),
    AlarmId.FOLLOWING_ERROR: _row(
        2103, _D, _R.ABORT, _C, "following error", "an axis is too far from its target",
        "check for a jam or a too tight limit, then Clear",
    ),
    AlarmId.SOFT_LIMIT: _row(
        2104, _D, _R.STOP, _C, "soft limit", "a target lies beyond the axis's soft limit",
        "check recipe and offsets, then Reset",
    ),
    AlarmId.HOMING_FAILED: _row(
        2105, _D, _R.STOP, _C, "homing failed", "a drive did not attain its reference in time",
        "check reference switch and mechanics, then Reset",
    ),
    AlarmId.CYCLE_OVERRUN: _row(
        2201, _D, _R.STOP, _C, "cycle overruns", "too many periods in a row were missed",
        "check the load of the PC and its real-time set-up, then Reset",
    ),
    AlarmId.PICK_MISSED: _row(
        3001, _N, _R.NONE, _A, "pick missed", "no vacuum after a pick; it is tried again",
        "none; clean the gripper if it happens often",
    ),
    AlarmId.PICK_FAILED: _row(
        3002, _P, _R.HOLD, _C, "pick failed", "no vacuum after every retry",
        "check magazine and gripper, then Unhold",
    ),
    AlarmId.MAGAZINE_EMPTY: _row(
        3003, _P, _R.HOLD, _C, "magazine empty", "no sheet is left", "fill the magazine, then Unhold",
    ),
    AlarmId.DOUBLE_SHEET: _row(
        3004, _W, _R.NONE, _A, "double sheet", "two sheets were picked; they are put aside",
        "none; fan the magazine if it happens often",
    ),
    AlarmId.SHEET_CAMERA_LATE: _row(
        3101, _N, _R.NONE, _A, "sheet camera late", "the pose is late; the master waits at its gate",
        "none; check the camera's load if it happens often",
    ),
    AlarmId.SHEET_CAMERA_FAILED: _row(
        3102, _P, _R.HOLD, _C, "sheet camera failed", "no usable pose after every retry",
        "clean glass and lens, check lighting, then Unhold",
    ),
    AlarmId.SHEET_OUT_OF_RANGE: _row(
        3103, _W, _R.NONE, _A, "sheet out of range", "the correction exceeds the stage's range",
        "none: the sheet is put aside and replaced; check the magazine's stops",
    ),
    AlarmId.STACK_CAMERA_LATE: _row(
        3104, _N, _R.NONE, _A, "stack camera late", "a layer was not measured",
        "none; check the camera if it happens often",
    ),
    AlarmId.VACUUM_LOST: _row(
        3201, _P, _R.HOLD, _C, "vacuum lost", "a gripper lost its sheet beside the stack",
        "take the sheet out, then Unhold: another is fetched, the cell is kept",
    ),
    AlarmId.RELEASE_LATE: _row(
        3202, _N, _R.NONE, _A, "release late", "the vacuum decays slowly; the master waits",
        "none; check the blow-off valve if it happens often",
    ),
    AlarmId.FINGER_NOT_CLAMPED: _row(
        3203, _P, _R.HOLD, _C, "finger not clamped", "a press finger is not down in time",
        "check the finger for a jam, then Unhold",
    ),
    AlarmId.TENSION_WARNING: _row(
        3301, _W, _R.NONE, _A, "tension off target", "web tension is beyond its warning band",
        "check dancer and feed trims",
    ),
    AlarmId.TENSION_OUT_OF_LIMITS: _row(
        3302, _P, _R.NONE, _A, "tension out of limits", "web tension passed a reject limit",
        "the cell is rejected; check the web path",
    ),
    AlarmId.WEB_SLACK: _row(
        3303, _P, _R.HOLD, _C, "web slack", "web tension is lost",
        "check web path and dancer, then Unhold",
    ),
    AlarmId.WEB_BREAK: _row(
        3304, _P, _R.STOP, _C, "web break", "tension lost and dancer at its stop",
        "thread the web, then Reset",
    ),
    AlarmId.DANCER_LIMIT: _row(
        3305, _P, _R.HOLD, _C, "dancer at its limit", "the dancer left its working range",
        "check feed and unwind, then Unhold",
    ),
    AlarmId.ROLL_ENDING: _row(
        3306, _N, _R.NONE, _A, "roll ending", "the roll will soon be empty", "prepare a new roll",
    ),
    AlarmId.SPLICE: _row(
        3307, _N, _R.NONE, _A, "splice", "a splice entered the web path", "none: its cell is rejected",
    ),
    AlarmId.READING_STALE: _row(
        3401, _D, _R.HOLD, _C, "reading stale", "a sensor's reading is older than its limit",
        "check the device and its network, then Unhold",
    ),
    AlarmId.RECORDS_UNACKNOWLEDGED: _row(
        3501, _P, _R.SUSPEND, _A, "records not stored", "finished cells await durable storage",
        "check disk and gateway; production resumes by itself",
    ),
    AlarmId.MOTION_REFUSED: _row(
        3601, _D, _R.STOP, _C, "motion refused", "a move has no solution within its limits",
        "check recipe and limits, then Reset",
    ),
    AlarmId.GATE_TIMEOUT: _row(
        3602, _P, _R.HOLD, _C, "gate timeout", "a condition the master waits for does not come",
        "read the gate in the status, remove its cause, then Unhold",
    ),
    AlarmId.WEB_EDGE: _row(
        3308, _W, _R.NONE, _A, "web edge off", "the web's edge is beyond its band",
        "check edge guide and roll",
    ),
    AlarmId.HIPOT_FAILED: _row(
        3701, _W, _R.NONE, _A, "hipot failed", "a finished cell's insulation is too low",
        "the cell is rejected; check cutting burrs and separator",
    ),
    AlarmId.ALIGNMENT_FAILED: _row(
        3105, _P, _R.HOLD, _C, "alignment failed", "a correction did not arrive in time",
        "check the stage, then Unhold",
    ),
    AlarmId.INTERNAL: _row(
        9001, _D, _R.ABORT, _C, "internal fault", "an index or divisor check failed in the loop",
        "report it with the trace; restart",
    ),
    AlarmId.VISION_FAILED: _row(
        3106, _N, _R.NONE, _A, "vision failed", "no usable pose, or one too far off to believe at once",
        "none: the sheet is measured again; clean the glass if it happens often",
    ),
    AlarmId.SHEETS_MISALIGNED: _row(
        3107, _P, _R.HOLD, _C, "sheets misaligned", "one sheet after the other had to be put aside",
        "check the magazine's stops and the camera, then Unhold",
    ),
    AlarmId.SHEET_OVER_STACK: _row(
        3204, _P, _R.STOP, _C, "sheet lost over the stack", "a gripper lost its sheet where it may lie on it",
        "take the sheet out, then Reset: the cell is scrap",
    ),
}  # fmt: skip
