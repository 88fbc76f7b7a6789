"""What a cycle takes in beside the exchange: readings, one command, a piece of a plan."""

import numpy as np
from numba import njit

from controller.runtime.atomics import (
    address_of,
    load_acquire,
    load_word,
    store_release,
    store_word,
)
from controller.runtime.loop_state import PLAN_LOG_SIZE
from controller.runtime.seal import PAYLOAD, WEIGHT, WORD, copy_record, try_read_sealed
from controller.shared.commands import COMMAND_DTYPE, COMMAND_SLOT_COUNT, CommandCode
from controller.shared.commands import CommandResult as _Result
from controller.shared.layout import (
    CHANNEL_COUNT,
    LANE_DTYPE,
    PLAN_SLOTS,
    PROCESS_COUNT,
    SOURCE_OVERRUN,
    STATION_MEMORY_DTYPE,
    ProcessId,
    ReadingChannel,
    sealed,
)
from controller.shared.plan import PLAN_DTYPE
from drivers.image import CAMERA_READING_DTYPE, ReadingQuality

_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_TWO = np.uint64(2)
_ANSWER_BITS = np.uint64(8)
_LANES = np.uint64(PROCESS_COUNT)
_SLOTS = np.uint64(COMMAND_SLOT_COUNT)
_CORE = np.uint64(ProcessId.CORE)
_SUPERVISOR = int(ProcessId.SUPERVISOR)
_COMMAND_WORDS = COMMAND_DTYPE.itemsize // 8
_READING_WORDS = CAMERA_READING_DTYPE.itemsize // 8
_READING_SLOT = np.uint64(sealed(CAMERA_READING_DTYPE).itemsize)
_PLAN_WORDS = PLAN_DTYPE.itemsize // 8
PLAN_WORDS_A_CYCLE = 1024
assert PLAN_DTYPE.fields is not None
assert LANE_DTYPE.fields is not None
assert STATION_MEMORY_DTYPE.fields is not None
_VALID_WORD = PLAN_DTYPE.fields["valid"][1] // 8
_TAKEN = np.uint64(LANE_DTYPE.fields["taken"][1])
_ANSWERS = np.uint64(LANE_DTYPE.fields["answers"][1])
_PLANS_LOADED = np.uint64(STATION_MEMORY_DTYPE.fields["plans_loaded"][1])
_STOP, _SHUT_DOWN = int(CommandCode.STOP), int(CommandCode.SHUT_DOWN)
_UNKNOWN = np.uint64(_Result.UNKNOWN)
_STACK_CAMERA, _TENSION = int(ReadingChannel.STACK_CAMERA), int(ReadingChannel.TENSION)
_DANCER, _GOOD = int(ReadingChannel.DANCER), int(ReadingQuality.GOOD)


@njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
def merge_readings(inputs, memory, loop):
    """Bring the newest whole readings of the io process into the inputs."""
    for i in range(loop.station_count):
        for channel in range(CHANNEL_COUNT):
            copy = loop.readings[i, channel]
            _take_reading(copy, address_of(memory.stations[i].readings[channel]), channel)
            if copy.sequence != _ZERO:
                _merge_reading(inputs.stations[i], copy.committed, channel)


@njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
def _take_reading(copy, pair, channel):
    """A camera's failed reading is its answer; a sensor's leaves the last good one, which grows old."""
    newest = load_acquire(pair)
    if newest == copy.sequence:
        return
    slot = pair + WORD + (newest % _TWO) * _READING_SLOT
    if try_read_sealed(slot, address_of(copy.scratch), _READING_WORDS) == newest:
        if channel <= _STACK_CAMERA or copy.scratch.quality == _GOOD:
            copy_record(copy.scratch, copy.committed, _READING_WORDS)
        copy.sequence = newest


@njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
def _merge_reading(inputs, reading, channel):
    if channel < _STACK_CAMERA:
        copy_record(reading, inputs.sheet_cameras[channel], _READING_WORDS)
    elif channel == _STACK_CAMERA:
        copy_record(reading, inputs.stack_camera, _READING_WORDS)
    elif reading.quality == _GOOD:
        _merge_sensor(inputs, reading, channel)


@njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
def _merge_sensor(inputs, reading, channel):
    if channel == _TENSION:
        inputs.tension_n = reading.x_m
        inputs.tension_stamp_ns = reading.captured_ns
    elif channel == _DANCER:
        inputs.dancer_position_m = reading.x_m
        inputs.dancer_stamp_ns = reading.captured_ns
    else:
        inputs.magazine_sheets[0] = np.int32(reading.x_m)
        inputs.magazine_sheets[1] = np.int32(reading.y_m)
        inputs.hipot_resistance_ohm = reading.theta_rad
        inputs.magazine_stamp_ns = reading.captured_ns


@njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
def take_command(memory, loop):
    """Fill `loop.command`: the loop's own first, then one lane after the other, at most one."""
    command = loop.command
    command.sequence = _ZERO
    command.code = 0
    if loop.overrun_missed and loop.statistics.overruns_in_a_row == loop.overruns_in_a_row_max:
        _own_command(loop, _STOP, SOURCE_OVERRUN)
    elif loop.shut_down_asked and not loop.shut_down_sent:
        loop.shut_down_sent = 1
        _own_command(loop, _SHUT_DOWN, _SUPERVISOR)
    else:
        for _ in range(PROCESS_COUNT):
            lane = loop.next_lane
            loop.next_lane = (lane + 1) % PROCESS_COUNT
            if _take_from_lane(memory.lanes[lane], loop, lane):
                return


@njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
def _own_command(loop, code, source):
    loop.command_number += _ONE
    command = loop.command
    command.sequence = loop.command_number * _LANES + _CORE
    command.code = code
    command.station = 0
    command.index = 0
    command.source = source
    command.value = 0.0
    command.issued_ns = loop.deadline_ns
    command.check = _ZERO


@njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
def _take_from_lane(memory_lane, loop, lane):
    """Take the lane's next command if it is the next in order and whole."""
    number = loop.taken[lane] + _ONE
    slot = address_of(memory_lane.slots[np.int64(number % _SLOTS)])
    sequence = number * _LANES + np.uint64(lane)
    if load_acquire(slot) != sequence:
        return False
    target = address_of(loop.command)
    total = sequence
    weight = WEIGHT
    for i in range(_COMMAND_WORDS):
        offset = np.uint64(i) * WORD
        word = load_word(slot + offset)
        store_word(target + offset, word)
        if i < _COMMAND_WORDS - 1:
            total += word * weight
            weight *= WEIGHT
    if loop.command.sequence != sequence or loop.command.check != total:
        loop.command.sequence = _ZERO
        loop.command.code = 0
        return False
    loop.taken[lane] = number
    store_release(address_of(memory_lane) + _TAKEN, number)
    return True


@njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
def answer_command(state, memory, loop):
    """Leave the scan's answer to this cycle's command in the lane it came from."""
    sequence = loop.command.sequence
    if sequence == _ZERO:
        return
    result = _UNKNOWN
    if state.machine.last_command_sequence == sequence:
        result = np.uint64(state.machine.last_command_result)
    number = sequence // _LANES
    lane = address_of(memory.lanes[np.int64(sequence % _LANES)])
    answer = lane + _ANSWERS + (number % _SLOTS) * WORD
    store_release(answer, (number << _ANSWER_BITS) | result)


@njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
def load_plan_piece(state, plans, memory, loop):
    """Go on copying a new plan into its idle slot, 8 kB a cycle; commit it only when certified."""
    copy = loop.plan_copy
    if copy.word == 0 and not _find_plan(state, memory, loop, copy):
        return
    station, slot = copy.slot // PLAN_SLOTS, copy.slot % PLAN_SLOTS
    shared = address_of(memory.stations[station].plans[slot])
    _copy_plan_words(shared, address_of(plans[copy.slot]), copy)
    if copy.word < _PLAN_WORDS:
        return
    copy.word = 0
    whole = load_word(shared + WORD) == copy.sum and load_word(shared + _TWO * WORD) == copy.xor
    if whole and load_acquire(shared) == copy.sequence:
        store_word(address_of(plans[copy.slot]) + np.uint64(_VALID_WORD) * WORD, copy.valid_word)
        loop.plans_loaded[station, slot] = copy.sequence
        _log_plan(loop, copy.slot, 1)
        loaded = address_of(memory.stations[station]) + _PLANS_LOADED + np.uint64(slot) * WORD
        store_release(loaded, copy.sequence)


@njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
def _find_plan(state, memory, loop, copy):
    """Look at one slot a cycle; a plan in use is never touched."""
    copy.slot = (copy.slot + 1) % (PLAN_SLOTS * loop.station_count)
    station, slot = copy.slot // PLAN_SLOTS, copy.slot % PLAN_SLOTS
    sequence = load_acquire(address_of(memory.stations[station].plans[slot]))
    loaded = loop.plans_loaded[station, slot]
    own = state.stations[station].status
    wanted = own.plan_slot == copy.slot or own.next_plan_slot == copy.slot
    in_use = wanted and loaded != _ZERO
    if sequence == _ZERO or sequence == loaded or in_use:
        return False
    copy.sequence = copy.sum = copy.xor = sequence
    copy.weight = WEIGHT
    _log_plan(loop, copy.slot, 0)
    return True


@njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
def _log_plan(loop, slot, whole):
    entry = loop.plan_log[loop.plan_log_count % PLAN_LOG_SIZE]
    entry.cycle = loop.cycle
    entry.slot = slot
    entry.whole = whole
    loop.plan_log_count += 1


@njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
def _copy_plan_words(shared, target, copy):
    first = copy.word
    last = min(first + PLAN_WORDS_A_CYCLE, _PLAN_WORDS)
    for i in range(first, last):
        offset = np.uint64(i) * WORD
        word = load_word(shared + PAYLOAD + offset)
        store_word(target + offset, _ZERO if i == _VALID_WORD else word)
        if i == _VALID_WORD:
            copy.valid_word = word
        copy.sum += word * copy.weight
        copy.xor ^= word
        copy.weight *= WEIGHT
    copy.word = last
