"""The link record: everything the cyclic exchange needs, laid out once before the loop starts.

Numba-free: `make_link` works out logical addresses, frames and scalings from the topology.
"""

import struct
from dataclasses import dataclass

import numpy as np

from drivers.cia402 import ObjectIndex
from drivers.devices.description import DeviceDescription, DeviceKind, ObjectType
from drivers.ethercat.protocol import (
    DATAGRAM_HEADER_BYTES,
    DATAGRAM_TYPE,
    ETHERNET_HEADER_BYTES,
    ETHERTYPE,
    FRAME_BYTES_MAX,
    FRAME_BYTES_MIN,
    FRAME_HEADER_BYTES,
    MORE_DATAGRAMS,
    WORKING_COUNTER_BYTES,
    Command,
    Register,
)
from drivers.ethercat.signals import FIRST_OUTPUT
from drivers.ethercat.topology import SlaveSetup, Topology, TopologyError
from drivers.image import STATIONS_MAX

FRAMES_MAX = 8
AXES_MAX = 256
SIGNALS_MAX = 512
HEADER_BYTES = ETHERNET_HEADER_BYTES + FRAME_HEADER_BYTES
LRW_DATA = HEADER_BYTES + DATAGRAM_HEADER_BYTES
CLOCK_DATA_BYTES = 8
STATUS_DATA_BYTES = 2
_TAIL_BYTES = (
    3 * WORKING_COUNTER_BYTES + 2 * DATAGRAM_HEADER_BYTES + CLOCK_DATA_BYTES + STATUS_DATA_BYTES
)
PAYLOAD_BYTES_MAX = FRAME_BYTES_MAX - LRW_DATA - _TAIL_BYTES
PROCESS_BYTES_MAX = FRAMES_MAX * PAYLOAD_BYTES_MAX
INDEX_FIRST = 0x80  # bring-up and diagnostics use the indices below
SEQUENCE_BITS = 23  # seven in the first datagram's index, eight in each of the others
OUTSTANDING = 256  # how many past frames may still be told late from stale
STATION_ADDRESS_FIRST = 0x1001
SOURCE_ADDRESS = bytes.fromhex("02464f4c4400")

FRAME_DTYPE = np.dtype(
    [
        ("first_byte", np.int32),
        ("data_bytes", np.int32),
        ("length", np.int32),
        ("working_counter_expected", np.int32),
        ("working_counter", np.int32),
        ("received", np.uint8),
        ("transmit", np.uint8, (1536,)),
    ],
    align=True,
)

# Byte offsets into the process data; -1 where the map lacks the object.
AXIS_MAP_DTYPE = np.dtype(
    [
        ("counts_per_unit", np.float64),
        ("velocity_counts_per_unit_s", np.float64),
        ("torque_counts_per_n", np.float64),
        ("position_counts", np.int64),
        ("velocity_m_s", np.float64),
        ("station", np.int32),
        ("axis", np.int32),
        ("controlword", np.int32),
        ("mode", np.int32),
        ("target_position", np.int32),
        ("velocity_offset", np.int32),
        ("torque_offset", np.int32),
        ("target_torque", np.int32),
        ("statusword", np.int32),
        ("mode_display", np.int32),
        ("position", np.int32),
        ("velocity", np.int32),
        ("torque", np.int32),
        ("error_code", np.int32),
        ("seen", np.uint8),
    ],
    align=True,
)

SIGNAL_MAP_DTYPE = np.dtype(
    [
        ("unit_per_count", np.float64),
        ("signal", np.int32),
        ("station", np.int32),
        ("element", np.int32),
        ("bit", np.int32),
        ("bits", np.int32),
    ],
    align=True,
)

LINK_DTYPE = np.dtype(
    [
        ("period_ns", np.int64),
        ("reply_timeout_ns", np.int64),
        ("sync0_shift_ns", np.int64),
        ("misses_tolerated", np.int32),
        ("misses_stop", np.int32),
        ("spin_ns", np.int64),
        ("distributed_clock", np.uint8),
        ("descriptor", np.int32),
        ("slave_count", np.int32),
        ("frame_count", np.int32),
        ("axis_count", np.int32),
        ("signal_count", np.int32),
        ("output_bytes", np.int32),
        ("process_bytes", np.int32),
        # what happened
        ("cycles", np.int64),
        ("sequence", np.uint32),
        ("frames_lost", np.uint32),
        ("frames_late", np.uint32),
        ("frames_stale", np.uint32),
        ("frames_malformed", np.uint32),
        ("working_counter_errors", np.uint32),
        ("send_errors", np.uint32),
        ("misses_in_a_row", np.uint32),
        ("misses_in_a_row_max", np.uint32),
        ("working_counter", np.int32),
        ("working_counter_expected", np.int32),
        ("slaves_answering", np.int32),
        ("al_status", np.uint16),
        ("bus_state", np.uint8),
        ("good", np.uint8),
        ("reference_time_ns", np.int64),
        ("clock_offset_ns", np.int64),
        ("round_trip_ns", np.int64),
        # scratch for the system calls
        ("poll", np.int64, (1,)),
        ("time", np.int64, (2,)),
        ("receive", np.uint8, (2048,)),
        ("outstanding", np.uint8, (OUTSTANDING,)),
        ("outputs", np.uint8, (PROCESS_BYTES_MAX,)),
        ("inputs", np.uint8, (PROCESS_BYTES_MAX,)),
        ("staging", np.uint8, (PROCESS_BYTES_MAX,)),
        ("frames", FRAME_DTYPE, (FRAMES_MAX,)),
        ("axes", AXIS_MAP_DTYPE, (AXES_MAX,)),
        ("signals", SIGNAL_MAP_DTYPE, (SIGNALS_MAX,)),
    ],
    align=True,
)

_OUTPUT_FIELDS = {
    "controlword": ObjectIndex.CONTROLWORD,
    "mode": ObjectIndex.MODES_OF_OPERATION,
    "target_position": ObjectIndex.TARGET_POSITION,
    "velocity_offset": ObjectIndex.VELOCITY_OFFSET,
    "torque_offset": ObjectIndex.TORQUE_OFFSET,
    "target_torque": ObjectIndex.TARGET_TORQUE,
}
_INPUT_FIELDS = {
    "statusword": ObjectIndex.STATUSWORD,
    "mode_display": ObjectIndex.MODES_OF_OPERATION_DISPLAY,
    "position": ObjectIndex.POSITION_ACTUAL,
    "velocity": ObjectIndex.VELOCITY_ACTUAL,
    "torque": ObjectIndex.TORQUE_ACTUAL,
    "error_code": ObjectIndex.ERROR_CODE,
}


@dataclass(frozen=True, slots=True)
class Placement:
    """A slave's share of the logical address space, in bytes."""

    outputs: int
    output_bytes: int
    inputs: int
    input_bytes: int


def place(slaves: tuple[SlaveSetup, ...]) -> list[Placement]:
    """Return each slave's logical addresses: all outputs in bus order, then all inputs."""
    sizes = [(slave.device.output_bytes, slave.device.input_bytes) for slave in slaves]
    outputs, inputs, placements = 0, sum(out for out, _ in sizes), []
    for output_bytes, input_bytes in sizes:
        placements.append(Placement(outputs, output_bytes, inputs, input_bytes))
        outputs += output_bytes
        inputs += input_bytes
    return placements


def make_link(topology: Topology) -> np.ndarray:
    """Return the exchange's context, uint8[LINK_DTYPE.itemsize]; TopologyError where it does not fit."""
    context = np.zeros(LINK_DTYPE.itemsize, np.uint8)
    link = context.view(LINK_DTYPE)[0]
    placements = place(topology.slaves)
    for name in ("period_ns", "reply_timeout_ns", "sync0_shift_ns", "misses_tolerated",
                 "misses_stop", "spin_ns", "distributed_clock"):  # fmt: skip
        link[name] = getattr(topology, name)
    link["descriptor"] = -1
    link["slave_count"] = len(topology.slaves)
    link["output_bytes"] = placements[0].inputs
    link["process_bytes"] = placements[-1].inputs + placements[-1].input_bytes
    link["distributed_clock"] = reference_clock(topology) is not None
    _map_slaves(link, topology, placements)
    _lay_frames(link, topology, placements)
    return context


def reference_clock(topology: Topology) -> int | None:
    """Return the position (from 0) of the first slave with a clock, None without."""
    if not topology.distributed_clock:
        return None
    clocks = (n for n, slave in enumerate(topology.slaves) if slave.device.distributed_clock)
    return next(clocks, None)


def _map_slaves(link: np.void, topology: Topology, placements: list[Placement]) -> None:
    for setup, place_ in zip(topology.slaves, placements, strict=True):
        if not 0 <= setup.station < STATIONS_MAX:
            raise TopologyError(f"{setup.label}: station must be 0 to {STATIONS_MAX - 1}")
        if setup.device.kind is DeviceKind.DRIVE:
            _map_axis(link, setup, place_)
        else:
            _map_channels(link, setup, place_)


def _offsets(
    model: DeviceDescription, fields: dict[str, ObjectIndex], first_bit: int, *, inputs: bool
) -> dict[str, int]:
    bits = model.bit_offsets(model.inputs if inputs else model.outputs)
    return {
        name: (first_bit + bits[index, 0]) // 8 if (index, 0) in bits else -1
        for name, index in fields.items()
    }


def _map_axis(link: np.void, setup: SlaveSetup, place_: Placement) -> None:
    count = int(link["axis_count"])
    if count == AXES_MAX:
        raise TopologyError(f"{setup.label}: more than {AXES_MAX} drives on one bus")
    if setup.axis is None:
        raise TopologyError(f"{setup.label}: a drive needs an axis")
    row, scaling = link["axes"][count], setup.device.scaling
    row["station"], row["axis"] = setup.station, setup.axis
    row["counts_per_unit"] = setup.increments_per_unit
    row["velocity_counts_per_unit_s"] = (
        setup.increments_per_unit * scaling.velocity_counts_per_increment_s
    )
    row["torque_counts_per_n"] = scaling.torque_counts_per_rated / setup.rated_force_n
    offsets = _offsets(setup.device, _OUTPUT_FIELDS, place_.outputs * 8, inputs=False)
    offsets |= _offsets(setup.device, _INPUT_FIELDS, place_.inputs * 8, inputs=True)
    for name, offset in offsets.items():
        row[name] = offset
    link["axis_count"] = count + 1


def _map_channels(link: np.void, setup: SlaveSetup, place_: Placement) -> None:
    model = setup.device
    places = {
        False: (place_.inputs * 8, model.bit_offsets(model.inputs)),
        True: (place_.outputs * 8, model.bit_offsets(model.outputs)),
    }
    for channel in setup.channels:
        count = int(link["signal_count"])
        if count == SIGNALS_MAX:
            raise TopologyError(f"{setup.label}: more than {SIGNALS_MAX} signals on one bus")
        first_bit, bits = places[channel.signal >= FIRST_OUTPUT]
        entry = (channel.index, channel.subindex)
        if entry not in bits:
            raise TopologyError(
                f"{setup.label}: {channel.signal.name}: {model.name} maps no {entry[0]:#06x}:{entry[1]}"
            )
        kind = model.object(*entry).type
        if kind not in (ObjectType.BIT, ObjectType.I16):
            raise TopologyError(
                f"{setup.label}: {channel.signal.name}: {kind.name} is no channel type"
            )
        link["signals"][count] = (
            channel.unit_per_count, channel.signal, setup.station, channel.element,
            first_bit + bits[entry], kind.bits,
        )  # fmt: skip
        link["signal_count"] = count + 1


def _cuts(placements: list[Placement]) -> list[int]:
    """Where frames may end without splitting a slave's data."""
    edges = {place_.outputs + place_.output_bytes for place_ in placements}
    return sorted(edges | {place_.inputs + place_.input_bytes for place_ in placements})


def _lay_frames(link: np.void, topology: Topology, placements: list[Placement]) -> None:
    edges, first, count = _cuts(placements), 0, 0
    total = int(link["process_bytes"])
    reference = reference_clock(topology)
    while first < total or count == 0:
        if count == FRAMES_MAX:
            raise TopologyError(
                f"{topology.interface}: {total} bytes of process data: more than {FRAMES_MAX} frames hold"
            )
        last = max((edge for edge in edges if edge - first <= PAYLOAD_BYTES_MAX), default=total)
        frame = link["frames"][count]
        frame["first_byte"], frame["data_bytes"] = first, last - first
        frame["working_counter_expected"] = _working_counter(placements, first, last)
        content = _frame_bytes(first, last - first, reference)
        frame["length"] = len(content)
        frame["transmit"][: len(content)] = np.frombuffer(content, np.uint8)
        first, count = last, count + 1
    link["frame_count"] = count
    link["working_counter_expected"] = link["frames"]["working_counter_expected"].sum()


def _working_counter(placements: list[Placement], first: int, last: int) -> int:
    def inside(start: int, size: int) -> bool:
        return size > 0 and start < last and start + size > first

    return sum(
        2 * inside(p.outputs, p.output_bytes) + inside(p.inputs, p.input_bytes) for p in placements
    )


def _datagram(command: Command, address: int, size: int, more: bool) -> bytes:
    word = size | (MORE_DATAGRAMS if more else 0)
    header = struct.pack("<BBIHH", command, 0, address, word, 0)
    return header + bytes(size + WORKING_COUNTER_BYTES)


def _frame_bytes(first: int, size: int, reference: int | None) -> bytes:
    """One frame of LRW, FRMW of the reference clock (NOP without one) and BRD of the AL status."""
    clock = Command.NOP if reference is None else Command.FRMW
    station = STATION_ADDRESS_FIRST + (reference or 0)
    body = _datagram(Command.LRW, first, size, True)
    body += _datagram(clock, station | Register.DC_SYSTEM_TIME << 16, CLOCK_DATA_BYTES, True)
    body += _datagram(Command.BRD, Register.AL_STATUS << 16, STATUS_DATA_BYTES, False)
    header = b"\xff" * 6 + SOURCE_ADDRESS + struct.pack(">H", ETHERTYPE)
    frame = header + struct.pack("<H", len(body) | DATAGRAM_TYPE << 12) + body
    return frame.ljust(FRAME_BYTES_MIN, b"\x00")
