"""The bus in lock-step: the driver's frames and the virtual segment in one call, no socket, virtual time."""

import struct
from typing import Any

import numpy as np
from numba import njit, types

from drivers.ethercat.acyclic import Acyclic
from drivers.ethercat.exchange import take
from drivers.ethercat.frame import accept, stamp
from drivers.ethercat.link import (
    LINK_DTYPE,
    STATION_ADDRESS_FIRST,
    Placement,
    make_link,
    place,
    reference_clock,
)
from drivers.ethercat.process_data import pack
from drivers.ethercat.protocol import (
    FMMU_BYTES,
    SYNC_MANAGER_BYTES,
    AlState,
    Register,
    al_status_text,
)
from drivers.ethercat.topology import SlaveSetup, Topology
from drivers.seam import CONTEXT_TYPE, EXCHANGE_SIGNATURE, IMAGE_TYPE
from hal_sim.ethercat import bench_drives
from hal_sim.ethercat.body import (
    BODY_DTYPE,
    Body,
    begin_tick,
    end_tick,
    machine_image,
    make_body,
    plant_bytes,
    serve_frame,
)
from hal_sim.ethercat.sii import sync_managers

_BODY_BYTES = BODY_DTYPE.itemsize
_FRAME_BYTES = 1536
LOCKSTEP_DTYPE = np.dtype(
    [
        ("link", LINK_DTYPE),
        ("now_ns", np.int64),
        ("frame", np.uint8, (_FRAME_BYTES,)),
    ],
    align=True,
)
_HEAD_BYTES = -(-LOCKSTEP_DTYPE.itemsize // 64) * 64
_LOCKSTEP_BYTES = LOCKSTEP_DTYPE.itemsize


@njit(cache=True, nogil=True, error_model="numpy")
def body_of(context):
    """Return the virtual machine's part of a Lockstep's context."""
    return context[_HEAD_BYTES:]


@njit(cache=True, nogil=True, error_model="numpy")
def _pass_frames(lockstep, link, body):
    """Send every frame through the segment and judge what comes back."""
    wire = body[:_BODY_BYTES].view(BODY_DTYPE)[0].wire
    frame = lockstep.frame[:]
    for k in range(link.frame_count):
        length = link.frames[k].length
        for n in range(length):
            frame[n] = link.frames[k].transmit[n]
        for n in range(serve_frame(body, frame, length, lockstep.now_ns)):
            accept(link, wire.replies[n], wire.lengths[n])


@njit(types.int64(IMAGE_TYPE, CONTEXT_TYPE), cache=True, nogil=True, error_model="numpy")
def exchange_frames(image, context):
    """Exchange one cycle's frames with the virtual segment and hand its outputs to the machine.

    The caller lets one period of the plant pass and calls `end_tick`. image: IMAGE_DTYPE record; context: a
    Lockstep's. Returns an ExchangeCode.
    """
    lockstep = context[:_LOCKSTEP_BYTES].view(LOCKSTEP_DTYPE)[0]
    link = lockstep.link
    pack(link, image.outputs)
    stamp(link)
    _pass_frames(lockstep, link, body_of(context))
    code = take(link, image.inputs)
    lockstep.now_ns += link.period_ns
    begin_tick(body_of(context), lockstep.now_ns)
    return code


@njit(EXCHANGE_SIGNATURE, cache=True, nogil=True, error_model="numpy")
def exchange(image, context):
    """Exchange one cycle with drives on a bench; image: IMAGE_DTYPE record, context: a Lockstep's."""
    code = exchange_frames(image, context)
    body = body_of(context)
    bench_drives.exchange(machine_image(body), plant_bytes(body))
    end_tick(body)
    return code


class Lockstep:
    """A bus in memory: `context` is for `exchange`, the rest for tests and set-up."""

    def __init__(
        self, topology: Topology, plant_exchange: Any = bench_drives.exchange, **machine: Any
    ) -> None:
        body = make_body(topology, **machine)
        body.segment["sync_watched"] = 1
        self.topology = topology
        self.context = np.zeros(_HEAD_BYTES + body.buffer.nbytes, np.uint8)
        self.context[_HEAD_BYTES:] = body.buffer
        self._state = self.context[:_LOCKSTEP_BYTES].view(LOCKSTEP_DTYPE)[0]
        self._state["link"] = make_link(topology).view(LINK_DTYPE)[0]
        self.body = Body.over(self.context[_HEAD_BYTES:])
        self.acyclic = Acyclic(self.transfer)
        # The machine was on before the bus: its first answer is no row of zeros.
        begin_tick(self.body.buffer, 0)
        plant_exchange(self.body.image, plant_bytes(self.body.buffer))
        end_tick(self.body.buffer)

    @property
    def link(self) -> np.void:
        """The driver's record."""
        record: np.void = self._state["link"]
        return record

    def advance(self, time_ns: int) -> None:
        """Shift the time of the next cycle, as a steered wake-up does."""
        self._state["now_ns"] += time_ns

    def transfer(self, frame: bytes) -> bytes | None:
        """Carry one acyclic frame; None where it was lost."""
        buffer = np.zeros(_FRAME_BYTES, np.uint8)
        buffer[: len(frame)] = np.frombuffer(frame, np.uint8)
        now_ns = int(self._state["now_ns"])
        if serve_frame(self.body.buffer, buffer, len(frame), now_ns) == 0:
            return None
        return bytes(self.body.wire["replies"][0][: len(frame)])

    def bring_up(self, state: AlState = AlState.OP) -> None:
        """Configure every slave as a master does, register by register, up to a state."""
        for position, (setup, placement) in enumerate(
            zip(self.topology.slaves, place(self.topology.slaves), strict=True)
        ):
            self.configure(position, setup, placement, state)

    def configure(
        self, position: int, setup: SlaveSetup, placement: Placement, state: AlState = AlState.OP
    ) -> None:
        """Take one slave from INIT to a state."""
        bus = self.acyclic
        bus.write(position, Register.STATION_ADDRESS,
                  struct.pack("<H", STATION_ADDRESS_FIRST + position))  # fmt: skip
        for number, row in enumerate(sync_managers(setup.device)):
            start = Register.SYNC_MANAGER + number * SYNC_MANAGER_BYTES
            bus.write(position, start, struct.pack("<HHBBBB", *row[:3], 0, 1 if row[1] else 0, 0))
        self.request(position, AlState.PREOP)
        for write in setup.device.startup:
            data = struct.pack("<" + write.type.format, write.value)
            bus.sdo_write(position, write.index, write.subindex, data)
        self._map(position, setup, placement)
        if setup.device.distributed_clock and self.topology.distributed_clock:
            self._start_clock(position)
        for step in (AlState.SAFEOP, AlState.OP):
            if step <= state:
                self.request(position, step)

    def _map(self, position: int, setup: SlaveSetup, placement: Placement) -> None:
        rows = sync_managers(setup.device)
        sides = ((3, 2, placement.outputs, placement.output_bytes),
                 (4, 1, placement.inputs, placement.input_bytes))  # fmt: skip
        for number, (kind, way, logical, size) in enumerate(sides):
            if size:
                physical = next(row[0] for row in rows if row[3] == kind)
                entry = struct.pack("<IHBBHBBB3x", logical, size, 0, 7, physical, 0, way, 1)
                self.acyclic.write(position, Register.FMMU + number * FMMU_BYTES, entry)

    def _start_clock(self, position: int) -> None:
        bus, reference = self.acyclic, reference_clock(self.topology) or 0
        there = int.from_bytes(bus.read(position, Register.DC_SYSTEM_TIME, 8), "little")
        wanted = int.from_bytes(bus.read(reference, Register.DC_SYSTEM_TIME, 8), "little")
        if position != reference:
            offset = (wanted - there) % 2**64
            bus.write(position, Register.DC_OFFSET, struct.pack("<Q", offset))
        period = self.topology.period_ns
        bus.write(position, Register.DC_SYNC0_CYCLE, struct.pack("<I", period))
        bus.write(position, Register.DC_START_TIME, struct.pack("<Q", wanted // period * period))
        bus.write(position, Register.DC_ACTIVATION, b"\x03")

    def request(self, position: int, state: AlState) -> None:
        """Ask one slave for a state; RuntimeError says what it answered."""
        self.acyclic.write(position, Register.AL_CONTROL, struct.pack("<H", state | 0x10))
        status = self.acyclic.word(position, Register.AL_STATUS)
        if status != state:
            code = self.acyclic.word(position, Register.AL_STATUS_CODE)
            raise RuntimeError(
                f"slave {position + 1}: expected {state.name}, found {al_status_text(status, code)}"
            )
