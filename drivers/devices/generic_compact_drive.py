"""A CiA 402 servo drive with a fixed, compact map: no velocity feedback, finer torque, no 0x6071."""

from drivers.cia402 import ObjectIndex as I
from drivers.devices.description import (
    DeviceDescription,
    DeviceKind,
    DriveScaling,
    Identity,
    Mailbox,
    ObjectType,
    Pdo,
    Quirks,
    StartupWrite,
)
from drivers.devices.drive_objects import CSP, CYCLIC_DRIVE_OBJECTS, WATCH_SYNC

DEVICE = DeviceDescription(
    name="generic_compact_drive",
    title="CiA 402 servo drive, fixed compact map",
    kind=DeviceKind.DRIVE,
    identity=Identity(0x0000F01D, 0x00040202, 0x00020000),
    objects=CYCLIC_DRIVE_OBJECTS,
    outputs=(
        Pdo(
            0x1702,
            (
                (I.CONTROLWORD, 0),
                (I.MODES_OF_OPERATION, 0),
                (I.TARGET_POSITION, 0),
                (I.VELOCITY_OFFSET, 0),
                (I.TORQUE_OFFSET, 0),
            ),
        ),
    ),
    inputs=(
        Pdo(
            0x1B02,
            (
                (I.ERROR_CODE, 0),
                (I.STATUSWORD, 0),
                (I.MODES_OF_OPERATION_DISPLAY, 0),
                (I.POSITION_ACTUAL, 0),
                (I.TORQUE_ACTUAL, 0),
            ),
        ),
    ),
    startup=(StartupWrite(I.MODES_OF_OPERATION, 0, ObjectType.I8, CSP), WATCH_SYNC),
    mailbox=Mailbox(0x1000, 256, 0x1200, 256),
    scaling=DriveScaling(velocity_counts_per_increment_s=0.1, torque_counts_per_rated=10_000.0),
    quirks=Quirks(target_torque_in_cst=False, velocity_from_position=True),
)
