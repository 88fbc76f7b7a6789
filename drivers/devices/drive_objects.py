"""The CiA 402 and synchronisation objects that every drive file shares."""

from drivers.cia402 import Mode, ObjectIndex
from drivers.devices.description import Access, DeviceObject, ObjectType, StartupWrite

_T, _I, _RW = ObjectType, ObjectIndex, Access.READ_WRITE
SYNC_ERROR_LIMIT = (0x10F1, 2)
SYNC_EVENTS_MISSED = (0x1C32, 11)

CYCLIC_DRIVE_OBJECTS: tuple[DeviceObject, ...] = (
    DeviceObject(_I.ERROR_CODE, 0, _T.U16, "error code"),
    DeviceObject(_I.CONTROLWORD, 0, _T.U16, "controlword", _RW),
    DeviceObject(_I.STATUSWORD, 0, _T.U16, "statusword"),
    DeviceObject(_I.QUICK_STOP_OPTION, 0, _T.I16, "quick stop option code", _RW, 2),
    DeviceObject(_I.MODES_OF_OPERATION, 0, _T.I8, "modes of operation", _RW),
    DeviceObject(_I.MODES_OF_OPERATION_DISPLAY, 0, _T.I8, "modes of operation display"),
    DeviceObject(_I.POSITION_ACTUAL, 0, _T.I32, "position actual value"),
    DeviceObject(_I.FOLLOWING_ERROR_WINDOW, 0, _T.U32, "following error window", _RW, 20_000),
    DeviceObject(_I.VELOCITY_ACTUAL, 0, _T.I32, "velocity actual value"),
    DeviceObject(_I.TARGET_TORQUE, 0, _T.I16, "target torque", _RW),
    DeviceObject(_I.TORQUE_ACTUAL, 0, _T.I16, "torque actual value"),
    DeviceObject(_I.TARGET_POSITION, 0, _T.I32, "target position", _RW),
    DeviceObject(_I.HOMING_METHOD, 0, _T.I8, "homing method", _RW, 35),
    DeviceObject(_I.VELOCITY_OFFSET, 0, _T.I32, "velocity offset", _RW),
    DeviceObject(_I.TORQUE_OFFSET, 0, _T.I16, "torque offset", _RW),
    DeviceObject(_I.INTERPOLATION_TIME, 1, _T.U8, "interpolation time", _RW, 1),
    DeviceObject(_I.INTERPOLATION_TIME, 2, _T.I8, "interpolation time index", _RW, -3),
    DeviceObject(0x6502, 0, _T.U32, "supported drive modes", Access.READ_ONLY, 0x3A0),
    DeviceObject(*SYNC_ERROR_LIMIT, _T.U16, "sync error counter limit", _RW, 9),
    DeviceObject(*SYNC_EVENTS_MISSED, _T.U16, "SM event missed counter"),
)

# A SYNC0 without fresh outputs counts 3, one with them takes 1 back (ETG.1020): one lost frame is borne,
# at the second in a row the drive leaves OP.
WATCH_SYNC = StartupWrite(*SYNC_ERROR_LIMIT, _T.U16, 6)

CSP = int(Mode.CYCLIC_SYNC_POSITION)
