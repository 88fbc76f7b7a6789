"""The whole virtual machine behind a wire in one buffer: segment, faults, slaves, image and plant."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numba import njit, types

from drivers.ethercat.topology import Topology
from drivers.image import IMAGE_DTYPE
from hal_sim.ethercat.bench_drives import BENCH_DTYPE
from hal_sim.ethercat.build import make_segment
from hal_sim.ethercat.coupling import from_machine, to_machine
from hal_sim.ethercat.faults import WIRE_DTYPE, Fault, carry, install_faults
from hal_sim.ethercat.layout import BYTES_TYPE, SEGMENT_DTYPE, SLAVE_DTYPE
from hal_sim.ethercat.states import miss_sync, watch

_ALIGNMENT = 64

BODY_DTYPE = np.dtype(
    [
        ("image_start", np.int64),
        ("slaves_start", np.int64),
        ("plant_start", np.int64),
        ("plant_end", np.int64),
        ("period_ns", np.int64),
        ("ticks", np.int64),
        ("segment", SEGMENT_DTYPE),
        ("wire", WIRE_DTYPE),
    ],
    align=True,
)

_BODY_BYTES, _IMAGE_BYTES = BODY_DTYPE.itemsize, IMAGE_DTYPE.itemsize
_SLAVE_BYTES = SLAVE_DTYPE.itemsize


@dataclass(frozen=True)
class Body:
    """Views into one buffer, for whoever sets it up or looks into it."""

    buffer: np.ndarray
    header: np.void
    image: np.void
    slaves: np.ndarray

    @classmethod
    def over(cls, buffer: np.ndarray) -> Self:
        """Return the views into a buffer that `make_body` filled."""
        header = buffer[:_BODY_BYTES].view(BODY_DTYPE)[0]
        image_start, slaves_start = int(header["image_start"]), int(header["slaves_start"])
        slaves_end = slaves_start + int(header["segment"]["slave_count"]) * _SLAVE_BYTES
        return cls(
            buffer,
            header,
            buffer[image_start : image_start + _IMAGE_BYTES].view(IMAGE_DTYPE)[0],
            buffer[slaves_start:slaves_end].view(SLAVE_DTYPE),
        )

    @property
    def segment(self) -> np.void:
        """The segment's record."""
        return self.header["segment"]

    @property
    def plant(self) -> np.ndarray:
        """The plant's context."""
        return self.buffer[int(self.header["plant_start"]) : int(self.header["plant_end"])]

    @property
    def wire(self) -> np.void:
        """The wire's record."""
        return self.header["wire"]


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def make_bench_plant(period_ns: int) -> np.ndarray:
    """Return the context of drives on a bench."""
    context = np.zeros(BENCH_DTYPE.itemsize, np.uint8)
    context.view(BENCH_DTYPE)[0]["period_ns"] = period_ns
    return context


def make_body(
    topology: Topology,
    *,
    plant: np.ndarray | None = None,
    faults: Sequence[Fault] = (),
    drop_share: float = 0.0,
    clock_drift_ppm: float = 0.0,
    seed: int = 1,
) -> Body:
    """Return the virtual machine for a topology; `plant` is the simulator's context, None a drive bench."""
    context = make_bench_plant(topology.period_ns) if plant is None else plant
    segment, slaves = make_segment(topology, clock_drift_ppm=clock_drift_ppm, seed=seed)
    image_start = _aligned(BODY_DTYPE.itemsize)
    slaves_start = image_start + _aligned(IMAGE_DTYPE.itemsize)
    plant_start = slaves_start + _aligned(slaves.nbytes)
    buffer = np.zeros(plant_start + context.nbytes, np.uint8)
    header = buffer[: BODY_DTYPE.itemsize].view(BODY_DTYPE)[0]
    header["image_start"], header["slaves_start"] = image_start, slaves_start
    header["plant_start"], header["plant_end"] = plant_start, buffer.nbytes
    header["period_ns"] = topology.period_ns
    header["segment"] = segment[0]
    install_faults(header["wire"], faults, drop_share=drop_share, seed=seed)
    body = Body.over(buffer)
    body.image["inputs"]["station_count"] = 1 + max(slave.station for slave in topology.slaves)
    body.image["inputs"]["period_ns"] = topology.period_ns
    body.slaves[:] = slaves
    buffer[plant_start:] = context
    return body


@njit(cache=True, nogil=True, error_model="numpy")
def _slaves(header, body):
    start = header.slaves_start
    end = start + header.segment.slave_count * _SLAVE_BYTES
    return body[start:end].view(SLAVE_DTYPE)


@njit(
    types.int64(BYTES_TYPE, BYTES_TYPE, types.int64, types.int64),
    cache=True,
    nogil=True,
    error_model="numpy",
)
def serve_frame(body, frame, length, now_ns):
    """Carry one frame; returns how many replies lie in the wire's record."""
    header = body[:_BODY_BYTES].view(BODY_DTYPE)[0]
    slaves = _slaves(header, body)
    return carry(header.segment, slaves, header.wire, frame, length, now_ns)


@njit(cache=True, nogil=True, error_model="numpy")
def machine_image(body):
    """Return the image between the slaves and the plant."""
    start = body[:_BODY_BYTES].view(BODY_DTYPE)[0].image_start
    return body[start : start + _IMAGE_BYTES].view(IMAGE_DTYPE)[0]


@njit(cache=True, nogil=True, error_model="numpy")
def plant_bytes(body):
    """Return the plant's context."""
    header = body[:_BODY_BYTES].view(BODY_DTYPE)[0]
    return body[header.plant_start : header.plant_end]


@njit(types.void(BYTES_TYPE, types.int64), cache=True, nogil=True, error_model="numpy")
def begin_tick(body, now_ns):
    """Check the watchdogs and hand what the bus asks for to the machine's image."""
    header = body[:_BODY_BYTES].view(BODY_DTYPE)[0]
    slaves, image = _slaves(header, body), machine_image(body)
    image.inputs.time_ns = now_ns
    image.inputs.cycle = header.ticks
    for n in range(slaves.size):
        watch(slaves[n], now_ns)
        if not slaves[n].outputs_fresh:
            miss_sync(header.segment, slaves[n])
    to_machine(slaves, image.outputs, header.period_ns * 1e-9)


@njit(types.void(BYTES_TYPE), cache=True, nogil=True, error_model="numpy")
def end_tick(body):
    """Put what the machine reports where the bus can read it."""
    header = body[:_BODY_BYTES].view(BODY_DTYPE)[0]
    from_machine(_slaves(header, body), machine_image(body).inputs)
    header.ticks += 1
