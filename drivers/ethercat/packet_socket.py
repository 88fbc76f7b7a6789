"""Raw sockets on a network interface, with the filter that keeps cyclic and acyclic traffic apart."""

import ctypes
import errno
import os
import socket
import struct

from drivers.ethercat.link import INDEX_FIRST
from drivers.ethercat.protocol import ETHERTYPE
from drivers.ethercat.topology import TopologyError

_SO_ATTACH_FILTER = 26
_SOL_PACKET, _PACKET_QDISC_BYPASS = 263, 20
_INDEX_OFFSET = 17
_LOAD_BYTE, _JUMP_GREATER_EQUAL, _RETURN = 0x30, 0x35, 0x06


def _program(cyclic: bool) -> ctypes.Array[ctypes.c_char]:
    take, drop = (0xFFFF, 0) if cyclic else (0, 0xFFFF)
    rows = (
        (_LOAD_BYTE, 0, 0, _INDEX_OFFSET),
        (_JUMP_GREATER_EQUAL, 0, 1, INDEX_FIRST),
        (_RETURN, 0, 0, take),
        (_RETURN, 0, 0, drop),
    )
    return ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *row) for row in rows))


def filter_by_index(descriptor: int, *, cyclic: bool) -> None:
    """Let a packet socket see the cyclic frames alone (index 0x80 and above), or all but those."""
    program = _program(cyclic)
    view = struct.pack("HL", 4, ctypes.addressof(program))
    with socket.socket(fileno=os.dup(descriptor)) as handle:
        handle.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, view)


def open_packet_socket(interface: str, *, cyclic: bool | None = True) -> socket.socket:
    """Return a raw EtherCAT socket on an interface; cyclic None takes every frame.

    Raises TopologyError naming the interface where it is missing, down, or the capability is.
    """
    try:
        handle = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    except PermissionError:
        raise TopologyError(
            f"{interface}: raw sockets refused: expected the capability CAP_NET_RAW, found none; "
            "run as root or grant it (setcap cap_net_raw+ep)"
        ) from None
    if cyclic is not None:
        filter_by_index(handle.fileno(), cyclic=cyclic)
    handle.setsockopt(_SOL_PACKET, _PACKET_QDISC_BYPASS, 1)
    try:
        handle.bind((interface, ETHERTYPE))
    except OSError as error:
        handle.close()
        found = ", ".join(name for _, name in socket.if_nameindex())
        reason = "is down" if error.errno == errno.ENETDOWN else "does not exist"
        raise TopologyError(
            f"{interface}: the interface {reason}; found: {found}; check the cable and `interface`"
        ) from None
    return handle
