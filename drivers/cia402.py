"""CiA 402 wire facts (IEC 61800-7-201): bits, modes, object indices and the power state table.

Declared once, without behaviour; the controller's compiled step and every simulated drive read them here.
"""

from enum import IntEnum, IntFlag


class Statusword(IntFlag):
    """Object 0x6041."""

    READY_TO_SWITCH_ON = 1 << 0
    SWITCHED_ON = 1 << 1
    OPERATION_ENABLED = 1 << 2
    FAULT = 1 << 3
    VOLTAGE_ENABLED = 1 << 4
    QUICK_STOP_INACTIVE = 1 << 5
    SWITCH_ON_DISABLED = 1 << 6
    WARNING = 1 << 7
    REMOTE = 1 << 9
    TARGET_REACHED = 1 << 10
    INTERNAL_LIMIT_ACTIVE = 1 << 11
    HOMING_ATTAINED = 1 << 12  # CSP: drive follows the command value
    HOMING_ERROR = 1 << 13  # CSP: following error


class Controlword(IntFlag):
    """Object 0x6040."""

    SWITCH_ON = 1 << 0
    ENABLE_VOLTAGE = 1 << 1
    QUICK_STOP = 1 << 2  # active low
    ENABLE_OPERATION = 1 << 3
    HOMING_START = 1 << 4
    FAULT_RESET = 1 << 7
    HALT = 1 << 8


class Mode(IntEnum):
    """Object 0x6060 and 0x6061."""

    HOMING = 6
    CYCLIC_SYNC_POSITION = 8
    CYCLIC_SYNC_VELOCITY = 9
    CYCLIC_SYNC_TORQUE = 10


class ObjectIndex(IntEnum):
    """Objects of the drive profile."""

    ERROR_CODE = 0x603F
    CONTROLWORD = 0x6040
    STATUSWORD = 0x6041
    QUICK_STOP_OPTION = 0x605A
    MODES_OF_OPERATION = 0x6060
    MODES_OF_OPERATION_DISPLAY = 0x6061
    POSITION_ACTUAL = 0x6064
    FOLLOWING_ERROR_WINDOW = 0x6065
    VELOCITY_ACTUAL = 0x606C
    TARGET_TORQUE = 0x6071
    TORQUE_ACTUAL = 0x6077
    TARGET_POSITION = 0x607A
    HOMING_METHOD = 0x6098
    VELOCITY_OFFSET = 0x60B1
    TORQUE_OFFSET = 0x60B2
    INTERPOLATION_TIME = 0x60C2
    FOLLOWING_ERROR_ACTUAL = 0x60F4
    DIGITAL_INPUTS = 0x60FD
    DIGITAL_OUTPUTS = 0x60FE


class ErrorCode(IntEnum):
    """Object 0x603F: the IEC 61800-7-201 codes that Foldline knows by name."""

    NONE = 0x0000
    OVERCURRENT = 0x2310
    OVERLOAD_I2T = 0x2350
    DC_LINK_UNDERVOLTAGE = 0x3220
    MOTOR_OVERTEMPERATURE = 0x4310
    SAFE_TORQUE_OFF = 0x5441
    ENCODER = 0x7305
    COMMUNICATION_WATCHDOG = 0x8130
    FOLLOWING_ERROR = 0x8611


class PowerState(IntEnum):
    """The power drive system's states (IEC 61800-7-201, figure 2)."""

    NOT_READY = 0
    SWITCH_ON_DISABLED = 1
    READY_TO_SWITCH_ON = 2
    SWITCHED_ON = 3
    OPERATION_ENABLED = 4
    QUICK_STOP_ACTIVE = 5
    FAULT_REACTION_ACTIVE = 6
    FAULT = 7


class PowerCommand(IntEnum):
    """Device control commands, decoded from a controlword."""

    DISABLE_VOLTAGE = 0
    SHUTDOWN = 1
    SWITCH_ON = 2
    ENABLE_OPERATION = 3
    QUICK_STOP = 4
    FAULT_RESET = 5


_S, _C = PowerState, PowerCommand

# What a drive does with a command; a pair that is not here leaves the state as it is.
POWER_TRANSITIONS: dict[tuple[PowerState, PowerCommand], PowerState] = {
    (_S.SWITCH_ON_DISABLED, _C.SHUTDOWN): _S.READY_TO_SWITCH_ON,
    (_S.READY_TO_SWITCH_ON, _C.SWITCH_ON): _S.SWITCHED_ON,
    (_S.READY_TO_SWITCH_ON, _C.DISABLE_VOLTAGE): _S.SWITCH_ON_DISABLED,
    (_S.READY_TO_SWITCH_ON, _C.QUICK_STOP): _S.SWITCH_ON_DISABLED,
    (_S.SWITCHED_ON, _C.ENABLE_OPERATION): _S.OPERATION_ENABLED,
    (_S.SWITCHED_ON, _C.SHUTDOWN): _S.READY_TO_SWITCH_ON,
    (_S.SWITCHED_ON, _C.DISABLE_VOLTAGE): _S.SWITCH_ON_DISABLED,
    (_S.SWITCHED_ON, _C.QUICK_STOP): _S.SWITCH_ON_DISABLED,
    (_S.OPERATION_ENABLED, _C.SWITCH_ON): _S.SWITCHED_ON,
    (_S.OPERATION_ENABLED, _C.SHUTDOWN): _S.READY_TO_SWITCH_ON,
    (_S.OPERATION_ENABLED, _C.DISABLE_VOLTAGE): _S.SWITCH_ON_DISABLED,
    (_S.OPERATION_ENABLED, _C.QUICK_STOP): _S.QUICK_STOP_ACTIVE,
    (_S.QUICK_STOP_ACTIVE, _C.ENABLE_OPERATION): _S.OPERATION_ENABLED,
    (_S.QUICK_STOP_ACTIVE, _C.DISABLE_VOLTAGE): _S.SWITCH_ON_DISABLED,
    (_S.FAULT, _C.FAULT_RESET): _S.SWITCH_ON_DISABLED,
}

# (mask, value) of the statusword a state shows.
STATUSWORD_PATTERN: dict[PowerState, tuple[int, int]] = {
    _S.NOT_READY: (0x4F, 0x00),
    _S.SWITCH_ON_DISABLED: (0x4F, 0x40),
    _S.READY_TO_SWITCH_ON: (0x6F, 0x21),
    _S.SWITCHED_ON: (0x6F, 0x23),
    _S.OPERATION_ENABLED: (0x6F, 0x27),
    _S.QUICK_STOP_ACTIVE: (0x6F, 0x07),
    _S.FAULT_REACTION_ACTIVE: (0x4F, 0x0F),
    _S.FAULT: (0x4F, 0x08),
}

# The controlword that gives a command (fault reset acts on its rising edge).
CONTROLWORD_PATTERN: dict[PowerCommand, int] = {
    _C.DISABLE_VOLTAGE: 0x00,
    _C.SHUTDOWN: 0x06,
    _C.SWITCH_ON: 0x07,
    _C.ENABLE_OPERATION: 0x0F,
    _C.QUICK_STOP: 0x02,
    _C.FAULT_RESET: 0x80,
}
