"""A CiA 402 servo drive with the full cyclic map: both feed-forwards, and the mode in the PDO."""

from drivers.cia402 import ObjectIndex as I
from drivers.devices.description import (
    DeviceDescription,
    DeviceKind,
    Identity,
    ObjectType,
    Pdo,
    StartupWrite,
)
from drivers.devices.drive_objects import CSP, CYCLIC_DRIVE_OBJECTS, WATCH_SYNC

DEVICE = DeviceDescription(
    name="generic_csp_drive",
    title="CiA 402 servo drive, full cyclic map",
    kind=DeviceKind.DRIVE,
    identity=Identity(0x0000F01D, 0x00040201, 0x00010000),
    objects=CYCLIC_DRIVE_OBJECTS,
    outputs=(
        Pdo(
            0x1600,
            (
                (I.CONTROLWORD, 0),
                (I.TARGET_POSITION, 0),
                (I.VELOCITY_OFFSET, 0),
                (I.TORQUE_OFFSET, 0),
                (I.TARGET_TORQUE, 0),
                (I.MODES_OF_OPERATION, 0),
            ),
        ),
    ),
    inputs=(
        Pdo(
            0x1A00,
            (
                (I.STATUSWORD, 0),
                (I.POSITION_ACTUAL, 0),
                (I.VELOCITY_ACTUAL, 0),
                (I.TORQUE_ACTUAL, 0),
                (I.ERROR_CODE, 0),
                (I.MODES_OF_OPERATION_DISPLAY, 0),
            ),
        ),
    ),
    optional_pdos=(
        Pdo(0x1601, ((I.CONTROLWORD, 0), (I.TARGET_POSITION, 0))),
        Pdo(0x1A01, ((I.STATUSWORD, 0), (I.POSITION_ACTUAL, 0))),
    ),
    pdo_assignable=True,
    startup=(
        StartupWrite(0x1C12, 0, ObjectType.U8, 0),
        StartupWrite(0x1C12, 1, ObjectType.U16, 0x1600),
        StartupWrite(0x1C12, 0, ObjectType.U8, 1),
        StartupWrite(0x1C13, 0, ObjectType.U8, 0),
        StartupWrite(0x1C13, 1, ObjectType.U16, 0x1A00),
        StartupWrite(0x1C13, 0, ObjectType.U8, 1),
        StartupWrite(I.MODES_OF_OPERATION, 0, ObjectType.I8, CSP),
        StartupWrite(I.INTERPOLATION_TIME, 1, ObjectType.U8, 1),
        StartupWrite(I.INTERPOLATION_TIME, 2, ObjectType.I8, -3),
        WATCH_SYNC,
    ),
)
