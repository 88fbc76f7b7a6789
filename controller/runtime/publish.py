"""The publish phase: events, records, requests and snapshots out to the shared memory."""

import numpy as np
from numba import njit

from controller.runtime.atomics import address_of, store_release
from controller.runtime.seal import copy_record, write_next, write_ring
from controller.shared.events import EVENT_DTYPE, EVENT_RING_SIZE
from controller.shared.layout import (
    HEADER_DTYPE,
    REQUEST_DTYPE,
    SCOPE_DTYPE,
    SCOPE_RING_SIZE,
    ProcessId,
    sealed,
)
from controller.shared.learned import LEARNED_DTYPE
from controller.shared.records import CELL_RECORD_DTYPE, RECORDS_MAX
from controller.shared.retained import STATION_RETAINED_DTYPE
from controller.shared.status import MACHINE_STATUS_DTYPE, STATION_STATUS_DTYPE, STATISTICS_DTYPE

_EVENT_WORDS = EVENT_DTYPE.itemsize // 8
_EVENT_SLOT = np.uint64(sealed(EVENT_DTYPE).itemsize)
_EVENT_SLOTS = np.uint64(EVENT_RING_SIZE)
_RETAINED_WORDS = STATION_RETAINED_DTYPE.itemsize // 8
_RETAINED_SLOT = np.uint64(sealed(STATION_RETAINED_DTYPE).itemsize)
_LEARNED_WORDS = LEARNED_DTYPE.itemsize // 8
_SCOPE_WORDS = SCOPE_DTYPE.itemsize // 8
_SCOPE_SLOT = np.uint64(sealed(SCOPE_DTYPE).itemsize)
_SCOPE_SLOTS = np.uint64(SCOPE_RING_SIZE)
_RECORD_WORDS = CELL_RECORD_DTYPE.itemsize // 8
_RECORD_SLOT = np.uint64(sealed(CELL_RECORD_DTYPE).itemsize)
_RECORD_SLOTS = np.uint64(RECORDS_MAX)
_REQUEST_WORDS = REQUEST_DTYPE.itemsize // 8
_REQUEST_SLOT = np.uint64(sealed(REQUEST_DTYPE).itemsize)
_MACHINE_WORDS = MACHINE_STATUS_DTYPE.itemsize // 8
_MACHINE_SLOT = np.uint64(sealed(MACHINE_STATUS_DTYPE).itemsize)
_STATION_WORDS = STATION_STATUS_DTYPE.itemsize // 8
_STATION_SLOT = np.uint64(sealed(STATION_STATUS_DTYPE).itemsize)
_STATISTICS_WORDS = STATISTICS_DTYPE.itemsize // 8
_STATISTICS_SLOT = np.uint64(sealed(STATISTICS_DTYPE).itemsize)

_ONE = np.uint64(1)
_MACHINE_ITEMS = 2  # machine status and statistics; the stations follow
assert HEADER_DTYPE.fields is not None
_HEARTBEAT = np.uint64(HEADER_DTYPE.fields["heartbeats_ns"][1] + 8 * ProcessId.CORE)


@njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
def publish(image, state, memory, loop, now_ns):
    """Publish what this cycle has to tell and its share of the snapshot."""
    store_release(address_of(memory.header) + _HEARTBEAT, np.uint64(now_ns))
    for i in range(state.outbox.count):
        _publish_event(memory, loop, state.outbox.events[i])
    for i in range(loop.station_count):
        station = state.stations[i]
        if station.wrapped_ready:
            _publish_record(memory, station.wrapped)
        if station.record_ready:
            _publish_record(memory, station.record)
        if station.wrapped_ready or station.record_ready:
            _publish_retained(memory.stations[i], loop, station)
        _publish_requests(memory.stations[i], loop, i, image.outputs.stations[i])
    if state.scope_axis >= 0:
        _publish_sample(image, state, memory, loop)
    _publish_share(state, memory, loop)


@njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
def emit(memory, loop, kind, code, value):
    """Put an event of the loop's own into the ring."""
    event = loop.event
    event.time_ns = loop.deadline_ns
    event.cycle = loop.cycle
    event.kind = kind
    event.code = code
    event.station = -1
    event.index = -1
    event.value = value
    _publish_event(memory, loop, event)


@njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
def _publish_event(memory, loop, event):
    loop.event_sequence += _ONE
    ring = address_of(memory.events)
    source = address_of(event)
    write_ring(ring, source, _EVENT_WORDS, _EVENT_SLOT, _EVENT_SLOTS, loop.event_sequence)


@njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
def _publish_sample(image, state, memory, loop):
    """Show this cycle of the axis that is looked at: where it is, and what it is asked for next."""
    station, axis = state.scope_station, state.scope_axis
    inputs = image.inputs.stations[station].axes[axis]
    sample = loop.sample
    sample.time_ns = image.inputs.time_ns
    sample.target_m = image.outputs.stations[station].axes[axis].target_position_m
    sample.actual_m = inputs.actual_position_m
    sample.velocity_m_s = inputs.actual_velocity_m_s
    sample.force_n = inputs.actual_force_n
    loop.sample_sequence += _ONE
    ring, source = address_of(memory.scope), address_of(sample)
    write_ring(ring, source, _SCOPE_WORDS, _SCOPE_SLOT, _SCOPE_SLOTS, loop.sample_sequence)


@njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
def _publish_record(memory, record):
    ring = address_of(memory.records)
    source = address_of(record)
    write_ring(ring, source, _RECORD_WORDS, _RECORD_SLOT, _RECORD_SLOTS, record.counter)


@njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
def _publish_retained(memory, loop, station):
    """Show what a restart should find again; whoever stores it is in no hurry."""
    kept = loop.retained
    for index in range(kept.plan_identity.size):
        kept.plan_identity[index] = station.status.plan_identity[index]
    copy_record(station.learned, kept.learned, _LEARNED_WORDS)
    for polarity in range(2):
        feeder = station.feeders[polarity]
        kept.bias_m[polarity, 0] = feeder.bias_m[0]
        kept.bias_m[polarity, 1] = feeder.bias_m[1]
        kept.bias_rad[polarity] = feeder.bias_rad
    kept.sheets_total = station.status.sheets_total
    kept.feed_total_m = station.status.feed_total_m
    pair = address_of(memory.retained)
    loop.retained_sequence += _ONE
    write_next(pair, address_of(kept), _RETAINED_WORDS, _RETAINED_SLOT, loop.retained_sequence)


@njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
def _publish_requests(station, loop, index, outputs):
    """Tell the io process at once what changed; a trigger should not wait for the snapshot."""
    request = loop.requests[index]
    if (
        request.sheet_camera_trigger[0] == outputs.sheet_camera_trigger[0]
        and request.sheet_camera_trigger[1] == outputs.sheet_camera_trigger[1]
        and request.stack_camera_trigger == outputs.stack_camera_trigger
        and request.hipot_test == outputs.hipot_test
        and request.stack_light == outputs.stack_light
    ):
        return
    request.sheet_camera_trigger[0] = outputs.sheet_camera_trigger[0]
    request.sheet_camera_trigger[1] = outputs.sheet_camera_trigger[1]
    request.stack_camera_trigger = outputs.stack_camera_trigger
    request.hipot_test = outputs.hipot_test
    request.stack_light = outputs.stack_light
    loop.request_sequence[index] += _ONE
    pair = address_of(station.requests)
    sequence = loop.request_sequence[index]
    write_next(pair, address_of(request), _REQUEST_WORDS, _REQUEST_SLOT, sequence)


@njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
def _publish_share(state, memory, loop):
    """Publish the snapshot's items that fall to this cycle, spread evenly over its period."""
    items = _MACHINE_ITEMS + loop.station_count
    turn = loop.cycle % loop.snapshot_cycles
    if turn == 0:
        loop.snapshot_sequence += _ONE
    first = turn * items // loop.snapshot_cycles
    last = (turn + 1) * items // loop.snapshot_cycles
    for item in range(first, last):
        _publish_item(state, memory, loop, item)


@njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
def publish_all(state, memory, loop):
    """Publish a whole snapshot at once: the loop's last words."""
    loop.snapshot_sequence += _ONE
    for item in range(_MACHINE_ITEMS + loop.station_count):
        _publish_item(state, memory, loop, item)


@njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
def _publish_item(state, memory, loop, item):
    sequence = loop.snapshot_sequence
    if item == 0:
        pair, source = address_of(memory.machine), address_of(state.machine)
        write_next(pair, source, _MACHINE_WORDS, _MACHINE_SLOT, sequence)
    elif item == 1:
        pair, source = address_of(memory.statistics), address_of(loop.statistics)
        write_next(pair, source, _STATISTICS_WORDS, _STATISTICS_SLOT, sequence)
    else:
        index = item - _MACHINE_ITEMS
        pair = address_of(memory.stations[index].status)
        source = address_of(state.stations[index].status)
        write_next(pair, source, _STATION_WORDS, _STATION_SLOT, sequence)
