"""The slow path: single registers and SDOs beside a running exchange, in plain Python.

Every request is one datagram in one frame with an index below the cyclic ones, so the loop's socket never
sees it. `Transfer` is all it needs: a socket on a wire, or a function in memory.
"""

import struct
import time
from collections.abc import Callable

from drivers.devices.description import Identity
from drivers.ethercat.packet_socket import open_packet_socket
from drivers.ethercat.protocol import (
    DATAGRAM_TYPE,
    ETHERTYPE,
    FRAME_BYTES_MIN,
    SDO_ABORT_TEXT,
    SYNC_MANAGER_BYTES,
    CoeService,
    Command,
    MailboxType,
    Register,
)

Transfer = Callable[[bytes], bytes | None]

_INDEX = 0x40
_DATA = 26
_SOURCE = bytes.fromhex("02464f4c4401")
_TRIES = 3
_MAILBOX_TRIES = 200
_FULL = 0x08


class BusError(RuntimeError):
    """A request on the bus failed; the message names slave, request, expected and found."""


class SdoAborted(BusError):
    """A slave refused an SDO; `code` is the abort code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def frame_of(command: Command, address: int, data: bytes, index: int = _INDEX) -> bytes:
    """Return a frame with one datagram; address is the 32 bits after the index."""
    header = b"\xff" * 6 + _SOURCE + struct.pack(">H", ETHERTYPE)
    body = struct.pack("<BBIHH", command, index, address, len(data), 0) + data + b"\x00\x00"
    frame = header + struct.pack("<H", len(body) | DATAGRAM_TYPE << 12) + body
    return frame.ljust(FRAME_BYTES_MIN, b"\x00")


class SocketTransfer:
    """A Transfer over an interface, with a time-out a frame."""

    def __init__(self, interface: str, timeout_s: float = 0.05) -> None:
        self._socket = open_packet_socket(interface, cyclic=False)
        self._timeout_s = timeout_s

    def __call__(self, frame: bytes) -> bytes | None:
        self._socket.send(frame)
        deadline = time.monotonic() + self._timeout_s
        while (left := deadline - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                reply = self._socket.recv(2048)
            except TimeoutError:
                return None
            if len(reply) >= len(frame) and reply[16:18] == frame[16:18]:
                return reply
        return None

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class Acyclic:
    """Register and SDO access to slaves by position on the bus (0 is the first)."""

    def __init__(self, transfer: Transfer) -> None:
        self._transfer = transfer
        self._index = 0

    def request(self, command: Command, address: int, data: bytes) -> tuple[bytes, int]:
        """Send one datagram; returns (data, working counter); BusError where nothing comes back."""
        for _ in range(_TRIES):
            self._index = (self._index + 1) % 0x20
            reply = self._transfer(frame_of(command, address, data, _INDEX | self._index))
            if reply is not None:
                end = _DATA + len(data)
                return reply[_DATA:end], int.from_bytes(reply[end : end + 2], "little")
        raise BusError(
            f"no answer to {command.name}: expected a frame back, found none; check cable"
        )

    def count(self) -> int:
        """Return how many slaves answer."""
        return self.request(Command.BRD, Register.TYPE << 16, b"\x00")[1]

    def read(self, position: int, register: int, size: int) -> bytes:
        """Read registers of one slave."""
        data, counter = self.request(Command.APRD, -position & 0xFFFF | register << 16, bytes(size))
        if counter != 1:
            raise BusError(f"slave {position + 1}: register {register:#06x}: no answer")
        return data

    def try_write(self, position: int, register: int, data: bytes) -> bool:
        """Write registers of one slave; False where it does not take them."""
        return self.request(Command.APWR, -position & 0xFFFF | register << 16, data)[1] == 1

    def write(self, position: int, register: int, data: bytes) -> None:
        """Write registers of one slave; BusError where it does not take them."""
        if not self.try_write(position, register, data):
            raise BusError(f"slave {position + 1}: register {register:#06x}: write refused")

    def word(self, position: int, register: int) -> int:
        """Return a 16-bit register."""
        return int.from_bytes(self.read(position, register, 2), "little")

    def eeprom(self, position: int, word: int) -> bytes:
        """Return 8 bytes of the EEPROM from a word address."""
        self.write(position, Register.SII_CONTROL, struct.pack("<HI", 0x0100, word))
        for _ in range(_MAILBOX_TRIES):
            if not self.word(position, Register.SII_CONTROL) & 0x8000:
                return self.read(position, Register.SII_DATA, 8)
        raise BusError(f"slave {position + 1}: EEPROM: busy for too long")

    def identity(self, position: int) -> Identity:
        """Return what the slave's EEPROM says it is."""
        words = self.eeprom(position, 0x08) + self.eeprom(position, 0x0C)
        return Identity(*struct.unpack("<3I", words[:12]))

    def _mailbox(self, position: int, number: int) -> tuple[int, int]:
        row = self.read(position, Register.SYNC_MANAGER + number * SYNC_MANAGER_BYTES, 8)
        start, size = struct.unpack("<HH", row[:4])
        if not row[6] & 1 or size < 16:
            raise BusError(f"slave {position + 1}: mailbox: not enabled; it has none or is in INIT")
        return start, size

    def _take_reply(self, position: int) -> bytes:
        start, size = self._mailbox(position, 1)
        status = Register.SYNC_MANAGER + SYNC_MANAGER_BYTES + 5
        for attempt in range(_MAILBOX_TRIES):
            if self.read(position, status, 1)[0] & _FULL:
                return self.read(position, start, size)
            time.sleep(0.0 if attempt < 20 else 0.001)
        raise BusError(f"slave {position + 1}: mailbox: no answer to an SDO request")

    def _sdo(self, position: int, request: bytes, where: str) -> bytes:
        start, size = self._mailbox(position, 0)
        # Counter 0 asks for no repeat check: another master's counter may stand at any value.
        head = struct.pack("<HHBB", len(request) + 2, 0, 0, MailboxType.COE)
        message = head + struct.pack("<H", CoeService.SDO_REQUEST << 12) + request
        self.write(position, start, message.ljust(size, b"\x00"))
        for _ in range(8):
            reply = self._take_reply(position)
            if reply[5] & 0x0F == MailboxType.COE and reply[7] >> 4 != CoeService.EMERGENCY:
                break
        if reply[8] >> 5 == 4:
            code = int.from_bytes(reply[12:16], "little")
            text = SDO_ABORT_TEXT.get(code, "unknown code")
            raise SdoAborted(f"slave {position + 1}: SDO {where}: abort {code:#010x} {text}", code)
        return reply[8:]

    def sdo_read(self, position: int, index: int, subindex: int) -> bytes:
        """Upload an object (expedited or in one normal transfer)."""
        where = f"{index:#06x}:{subindex} upload"
        reply = self._sdo(position, struct.pack("<BHBI", 0x40, index, subindex, 0), where)
        if reply[0] & 2:
            return reply[4 : 8 - (reply[0] >> 2 & 3)]
        size = int.from_bytes(reply[4:8], "little")
        if size > len(reply) - 8:
            raise BusError(
                f"slave {position + 1}: SDO {where}: {size} bytes do not fit one transfer"
            )
        return reply[8 : 8 + size]

    def sdo_write(self, position: int, index: int, subindex: int, data: bytes) -> None:
        """Download an object (expedited up to 4 bytes, else in one normal transfer)."""
        where = f"{index:#06x}:{subindex} download"
        if len(data) <= 4:
            command = 0x23 | (4 - len(data)) << 2
            request = struct.pack("<BHB", command, index, subindex) + data.ljust(4, b"\x00")
        else:
            request = struct.pack("<BHBI", 0x21, index, subindex, len(data)) + data
        self._sdo(position, request, where)
