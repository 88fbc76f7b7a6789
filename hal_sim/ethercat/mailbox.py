"""CoE in a slave's mailbox, compiled: SDO upload and download, abort codes, emergencies, repeats."""

import numpy as np
from numba import njit, types

from drivers.devices.description import Access
from drivers.ethercat.little_endian import get_u16, get_u32, put_u16, put_u32
from drivers.ethercat.protocol import (
    SYNC_MANAGER_BYTES,
    AlState,
    CoeService,
    MailboxType,
    Register,
    SdoAbort,
)
from hal_sim.ethercat.layout import RAM_START, SLAVE_TYPE
from hal_sim.ethercat.states import al_state

_MANAGER, _SIZE = int(Register.SYNC_MANAGER), SYNC_MANAGER_BYTES
_COE, _MAILBOX_ERROR = int(MailboxType.COE), int(MailboxType.ERROR)
_REQUEST, _RESPONSE = int(CoeService.SDO_REQUEST), int(CoeService.SDO_RESPONSE)
_EMERGENCY = int(CoeService.EMERGENCY)
_FULL = 0x08
_PREOP = int(AlState.PREOP)
_READ_ONLY, _READ_WRITE_PREOP = Access.READ_ONLY.value, Access.READ_WRITE_PREOP.value
_NO_OBJECT, _NO_SUBINDEX = int(SdoAbort.NO_OBJECT), int(SdoAbort.NO_SUBINDEX)
_NO_WRITE, _WRONG_STATE = int(SdoAbort.READ_ONLY), int(SdoAbort.STATE)
_LENGTH, _COMMAND = int(SdoAbort.LENGTH), int(SdoAbort.COMMAND)
_NOT_MAPPABLE, _COMPLETE = int(SdoAbort.NOT_MAPPABLE), int(SdoAbort.COMPLETE_ACCESS)
_DOWNLOAD, _UPLOAD, _ABORT = 1, 2, 4
_HEADER = 6


@njit(cache=True, nogil=True, error_model="numpy")
def find_object(slave, index, subindex):
    """Return an object's place in the dictionary; below 0 the abort code for its absence."""
    found = -_NO_OBJECT
    for n in range(slave.object_count):
        if slave.objects[n].index == index:
            if slave.objects[n].subindex == subindex:
                return n
            found = -_NO_SUBINDEX
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def _room(slave):
    """Return the read mailbox's size as the master set it up."""
    return min(get_u16(slave.memory, _MANAGER + _SIZE + 2), slave.reply.size)


@njit(cache=True, nogil=True, error_model="numpy")
def _open_reply(slave, service, length):
    """Start a CoE message of `length` bytes after the mailbox header."""
    reply = slave.reply
    for n in range(reply.size):
        reply[n] = 0
    slave.mailbox_counter = slave.mailbox_counter % 7 + 1
    put_u16(reply, 0, length)
    reply[5] = _COE | slave.mailbox_counter << 4
    put_u16(reply, _HEADER, service << 12)
    slave.reply_length = _HEADER + length


@njit(cache=True, nogil=True, error_model="numpy")
def _abort(slave, index, subindex, code):
    _open_reply(slave, _REQUEST, 10)
    slave.reply[8] = _ABORT << 5
    put_u16(slave.reply, 9, index)
    slave.reply[11] = subindex
    put_u32(slave.reply, 12, code)


@njit(cache=True, nogil=True, error_model="numpy")
def _upload(slave, index, subindex):
    place = find_object(slave, index, subindex)
    if place < 0:
        _abort(slave, index, subindex, -place)
        return
    entry = slave.objects[place]
    size, reply = np.int64(entry.length), slave.reply
    data = 12 if size <= 4 else 16
    if data + size > _room(slave):
        _abort(slave, index, subindex, _COMMAND)
        return
    _open_reply(slave, _RESPONSE, 10 if size <= 4 else 10 + size)
    reply[8] = 0x43 | (4 - size) << 2 if size <= 4 else 0x41
    put_u16(reply, 9, index)
    reply[11] = subindex
    if size > 4:
        put_u32(reply, 12, size)
    for n in range(size):
        reply[data + n] = slave.values[entry.offset + n]


@njit(cache=True, nogil=True, error_model="numpy")
def _download_obstacle(slave, place, size, value):
    """Return the abort code that forbids a download, 0 where it may be done."""
    entry = slave.objects[place]
    if entry.access == _READ_ONLY:
        return _NO_WRITE
    if entry.access == _READ_WRITE_PREOP and al_state(slave) != _PREOP:
        return _WRONG_STATE
    if size != entry.length:
        return _LENGTH
    if entry.index >> 4 == 0x1C1 and entry.subindex > 0:
        wanted = 0x16 if entry.index == 0x1C12 else 0x1A
        if value >> 8 != wanted or find_object(slave, value, 0) < 0:
            return _NOT_MAPPABLE
    return 0


@njit(cache=True, nogil=True, error_model="numpy")
def _download(slave, message, index, subindex, command):
    expedited = command & 2 != 0
    place = find_object(slave, index, subindex)
    if place < 0:
        _abort(slave, index, subindex, -place)
        return
    size = 4 - ((command >> 2) & 3) if command & 1 else np.int64(slave.objects[place].length)
    data = 12
    if not expedited:
        size, data = get_u32(message, 12), 16
    if size > message.size - data or size > get_u16(message, 0) - (data - _HEADER):
        _abort(slave, index, subindex, _LENGTH)
        return
    code = _download_obstacle(slave, place, size, get_u16(message, data))
    if code != 0:
        _abort(slave, index, subindex, code)
        return
    for n in range(size):
        slave.values[slave.objects[place].offset + n] = message[data + n]
    _open_reply(slave, _RESPONSE, 10)
    slave.reply[8] = 0x60
    put_u16(slave.reply, 9, index)
    slave.reply[11] = subindex


@njit(cache=True, nogil=True, error_model="numpy")
def _mailbox_error(slave, detail):
    """Answer what is no CoE (ETG.1000.4, table 29: 2 unsupported protocol, 8 invalid size)."""
    _open_reply(slave, 0, 4)
    slave.reply[5] = _MAILBOX_ERROR | slave.mailbox_counter << 4
    put_u16(slave.reply, _HEADER, 1)
    put_u16(slave.reply, _HEADER + 2, detail)


@njit(types.void(SLAVE_TYPE), cache=True, nogil=True, error_model="numpy")
def post(slave):
    """Put the reply into the read mailbox and mark it full."""
    start = get_u16(slave.memory, _MANAGER + _SIZE)
    if start < RAM_START:
        return
    room = min(_room(slave), slave.memory.size - start)
    for n in range(room):
        slave.memory[start + n] = slave.reply[n]
    slave.memory[_MANAGER + _SIZE + 5] |= _FULL


@njit(cache=True, nogil=True, error_model="numpy")
def mailbox_full(slave, number):
    """Return whether a mailbox holds a message."""
    return slave.memory[_MANAGER + number * _SIZE + 5] & _FULL != 0


@njit(cache=True, nogil=True, error_model="numpy")
def _answer(slave):
    """Prepare the reply to the message in the write mailbox; returns whether there is one."""
    start, room = get_u16(slave.memory, _MANAGER), get_u16(slave.memory, _MANAGER + 2)
    if start + room > slave.memory.size or room < 16:
        return False
    message = slave.memory[start : start + room]
    counter = (message[5] >> 4) & 7
    if counter != 0 and counter == slave.request_counter:
        return False
    slave.request_counter = counter
    if message[5] & 0x0F != _COE:
        _mailbox_error(slave, 2)
        return True
    if get_u16(message, 0) < 10 or get_u16(message, 0) > room - _HEADER:
        _mailbox_error(slave, 8)
        return True
    command, index = np.int64(message[8]), get_u16(message, 9)
    subindex = np.int64(message[11])
    if slave.abort_next_sdo != 0:
        code, slave.abort_next_sdo = slave.abort_next_sdo, 0
        if code > 0:
            _abort(slave, index, subindex, code)
        return code > 0
    if get_u16(message, _HEADER) >> 12 != _REQUEST:
        _abort(slave, index, subindex, _COMMAND)
    elif command & 0x10:
        _abort(slave, index, subindex, _COMPLETE)
    elif command >> 5 == _UPLOAD:
        _upload(slave, index, subindex)
    elif command >> 5 == _DOWNLOAD:
        _download(slave, message, index, subindex, command)
    else:
        _abort(slave, index, subindex, _COMMAND)
    return True


@njit(types.void(SLAVE_TYPE), cache=True, nogil=True, error_model="numpy")
def serve(slave):
    """Answer the request in the write mailbox once the read mailbox is free; then emergencies."""
    if not slave.has_mailbox or mailbox_full(slave, 1):
        return
    if mailbox_full(slave, 0):
        slave.memory[_MANAGER + 5] &= 0xFF ^ _FULL
        if _answer(slave):
            post(slave)
    elif slave.emergency_pending:
        slave.emergency_pending = 0
        _open_reply(slave, _EMERGENCY, 10)
        put_u16(slave.reply, 8, slave.emergency_code)
        slave.reply[10] = 0x10
        post(slave)
