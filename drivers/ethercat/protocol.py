"""EtherCAT wire facts (ETG.1000.4 and .6): commands, registers, states and codes, declared once.

Without behaviour and without numba; the driver and the simulated slaves read the same numbers.
"""

from enum import IntEnum, IntFlag

ETHERTYPE = 0x88A4
ETHERNET_HEADER_BYTES = 14
FRAME_HEADER_BYTES = 2  # length in 11 bits, type 1 in the upper 4
DATAGRAM_HEADER_BYTES = 10
WORKING_COUNTER_BYTES = 2
FRAME_BYTES_MIN = 60
FRAME_BYTES_MAX = 1514
DATAGRAM_TYPE = 1
LENGTH_MASK = 0x07FF
MORE_DATAGRAMS = 0x8000


class Command(IntEnum):
    """A datagram's command: Auto increment, Configured, Broadcast or Logical addressing."""

    NOP = 0
    APRD = 1
    APWR = 2
    APRW = 3
    FPRD = 4
    FPWR = 5
    FPRW = 6
    BRD = 7
    BWR = 8
    BRW = 9
    LRD = 10
    LWR = 11
    LRW = 12
    ARMW = 13
    FRMW = 14


class Register(IntEnum):
    """Addresses in an EtherCAT slave controller."""

    TYPE = 0x0000
    REVISION = 0x0001
    BUILD = 0x0002
    FMMU_COUNT = 0x0004
    SYNC_MANAGER_COUNT = 0x0005
    RAM_SIZE = 0x0006
    PORT_DESCRIPTOR = 0x0007
    FEATURES = 0x0008
    STATION_ADDRESS = 0x0010
    STATION_ALIAS = 0x0012
    DL_CONTROL = 0x0100
    DL_STATUS = 0x0110
    AL_CONTROL = 0x0120
    AL_STATUS = 0x0130
    AL_STATUS_CODE = 0x0134
    EVENT_REQUEST = 0x0220
    RX_ERRORS = 0x0300
    LOST_LINKS = 0x0310
    WATCHDOG_DIVIDER = 0x0400
    WATCHDOG_TIME = 0x0420
    WATCHDOG_STATUS = 0x0440
    SII_CONFIG = 0x0500
    SII_CONTROL = 0x0502
    SII_ADDRESS = 0x0504
    SII_DATA = 0x0508
    FMMU = 0x0600
    SYNC_MANAGER = 0x0800
    DC_PORT_TIME = 0x0900
    DC_SYSTEM_TIME = 0x0910
    DC_RECEIVE_TIME = 0x0918
    DC_OFFSET = 0x0920
    DC_DELAY = 0x0928
    DC_DIFFERENCE = 0x092C
    DC_SPEED_START = 0x0930
    DC_ACTIVATION = 0x0981
    DC_START_TIME = 0x0990
    DC_SYNC0_CYCLE = 0x09A0
    DC_SYNC1_CYCLE = 0x09A4


FMMU_BYTES = 16
SYNC_MANAGER_BYTES = 8


class AlState(IntEnum):
    """Application layer states, as the low nibble of AL status shows them."""

    INIT = 1
    PREOP = 2
    BOOT = 3
    SAFEOP = 4
    OP = 8


class AlStatus(IntFlag):
    """Bits of AL control and AL status beside the state."""

    ERROR = 0x10  # in AL control: acknowledge


class AlCode(IntEnum):
    """AL status codes (ETG.1000.6, table 11)."""

    NONE = 0x0000
    UNSPECIFIED = 0x0001
    INVALID_STATE_CHANGE = 0x0011
    UNKNOWN_STATE = 0x0012
    BOOT_NOT_SUPPORTED = 0x0013
    INVALID_MAILBOX_PREOP = 0x0016
    INVALID_SYNC_MANAGER = 0x0017
    SYNCHRONIZATION_ERROR = 0x001A
    PROCESS_DATA_WATCHDOG = 0x001B
    INVALID_OUTPUT_SYNC_MANAGER = 0x001D
    INVALID_INPUT_SYNC_MANAGER = 0x001E
    INVALID_DC_CONFIGURATION = 0x0030


AL_CODE_TEXT: dict[int, str] = {
    AlCode.NONE: "no error",
    AlCode.UNSPECIFIED: "unspecified error",
    AlCode.INVALID_STATE_CHANGE: "invalid requested state change",
    AlCode.UNKNOWN_STATE: "unknown requested state",
    AlCode.BOOT_NOT_SUPPORTED: "bootstrap not supported",
    AlCode.INVALID_MAILBOX_PREOP: "invalid mailbox configuration",
    AlCode.INVALID_SYNC_MANAGER: "invalid sync manager configuration",
    AlCode.SYNCHRONIZATION_ERROR: "synchronization error: outputs and SYNC0 out of step",
    AlCode.PROCESS_DATA_WATCHDOG: "process data watchdog: no outputs in time",
    AlCode.INVALID_OUTPUT_SYNC_MANAGER: "invalid output configuration: PDO size differs",
    AlCode.INVALID_INPUT_SYNC_MANAGER: "invalid input configuration: PDO size differs",
    AlCode.INVALID_DC_CONFIGURATION: "invalid distributed clock configuration",
}


class MailboxType(IntEnum):
    """Protocols in a mailbox header."""

    ERROR = 0
    COE = 3


class CoeService(IntEnum):
    """Service in the CoE header's upper nibble."""

    EMERGENCY = 1
    SDO_REQUEST = 2
    SDO_RESPONSE = 3
    SDO_INFORMATION = 8


class SdoAbort(IntEnum):
    """SDO abort codes (ETG.1000.6, table 41)."""

    TOGGLE = 0x05030000
    TIME_OUT = 0x05040000
    COMMAND = 0x05040001
    UNSUPPORTED_ACCESS = 0x06010000
    READ_ONLY = 0x06010002
    COMPLETE_ACCESS = 0x06010004
    NO_OBJECT = 0x06020000
    NOT_MAPPABLE = 0x06040041
    LENGTH = 0x06070010
    NO_SUBINDEX = 0x06090011
    VALUE_RANGE = 0x06090030
    STATE = 0x08000022


SDO_ABORT_TEXT: dict[int, str] = {
    SdoAbort.TOGGLE: "toggle bit not alternated",
    SdoAbort.TIME_OUT: "SDO protocol timed out",
    SdoAbort.COMMAND: "command not valid or unknown",
    SdoAbort.UNSUPPORTED_ACCESS: "unsupported access to an object",
    SdoAbort.READ_ONLY: "the object is read only",
    SdoAbort.COMPLETE_ACCESS: "complete access not supported",
    SdoAbort.NO_OBJECT: "no such object",
    SdoAbort.NOT_MAPPABLE: "the object cannot be mapped to a PDO",
    SdoAbort.LENGTH: "length does not match the object",
    SdoAbort.NO_SUBINDEX: "no such subindex",
    SdoAbort.VALUE_RANGE: "value out of range",
    SdoAbort.STATE: "not possible in the present state",
}


def al_status_text(status: int, code: int = 0) -> str:
    """Return an AL status in words, such as `SAFEOP+ERROR (0x001b process data watchdog ...)`."""
    state = status & 0x0F
    known = {int(member) for member in AlState}
    name = AlState(state).name if state in known else f"state {state}"
    error = "+ERROR" if status & AlStatus.ERROR else ""
    detail = f" ({code:#06x} {AL_CODE_TEXT.get(code, 'unknown code')})" if code else ""
    return name + error + detail
