"""The virtual segment built from a topology: EEPROM, object dictionary, process data and clocks."""

import struct

import numpy as np

from drivers.devices.description import Access, DeviceDescription, DeviceKind, ObjectType, Pdo
from drivers.devices.drive_objects import SYNC_ERROR_LIMIT, SYNC_EVENTS_MISSED
from drivers.ethercat.topology import SlaveSetup, Topology
from hal_sim.ethercat.layout import DRIVE_OBJECTS, OBJECTS_MAX, SEGMENT_DTYPE, SLAVE_DTYPE
from hal_sim.ethercat.registers import power_on
from hal_sim.ethercat.sii import sii_bytes, sync_managers


def make_segment(
    topology: Topology, *, clock_drift_ppm: float = 0.0, seed: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Return (segment[1], slaves[n]) for a topology, every slave just powered on.

    Clocks start at seeded offsets and run up to +-`clock_drift_ppm` off; the first runs true.
    """
    count = len(topology.slaves)
    slaves = np.zeros(count, SLAVE_DTYPE)
    segment = np.zeros(1, SEGMENT_DTYPE)
    segment["slave_count"] = segment["cut_before"] = count
    generator = np.random.default_rng(seed)
    for n, setup in enumerate(topology.slaves):
        slave = slaves[n]
        _build_slave(slave, setup)
        slave["clock_base_ns"] = generator.integers(0, 4_000_000_000)
        slave["clock_drift"] = generator.uniform(-1.0, 1.0) * clock_drift_ppm * 1e-6
        power_on(slave)
    slaves[0]["clock_drift"] = 0.0
    return segment, slaves


def _build_slave(slave: np.void, setup: SlaveSetup) -> None:
    model = setup.device
    sii = sii_bytes(model, setup.expected_identity)
    slave["sii"][:] = np.frombuffer(sii, np.uint8)
    slave["powered"], slave["station"] = 1, setup.station
    slave["has_mailbox"] = model.mailbox is not None
    slave["has_clock"] = model.distributed_clock
    slave["output_bytes"], slave["input_bytes"] = model.output_bytes, model.input_bytes
    kinds = [row[3] for row in sync_managers(model)]
    slave["output_manager"] = kinds.index(3) if 3 in kinds else -1
    slave["input_manager"] = kinds.index(4)
    offsets = _build_objects(slave, setup)
    for name, pdos in (("output", model.outputs), ("input", model.inputs)):
        _build_mapping(slave, name, model, pdos, offsets)
    slave["is_drive"] = model.kind is DeviceKind.DRIVE
    slave["sync_error_limit"] = offsets.get(SYNC_ERROR_LIMIT, -1)
    slave["sync_events_missed"] = offsets.get(SYNC_EVENTS_MISSED, -1)
    _build_drive(slave["drive"], setup, offsets)
    _build_channels(slave, setup, offsets)


_Entry = tuple[int, int, Access, bytes]


def _numbers(index: int, kind: str, values: tuple[int, ...], access: Access) -> list[_Entry]:
    """An array object: subindex 0 counts what follows."""
    rows: list[_Entry] = [(index, 0, access, struct.pack("<B", len(values)))]
    rows += [(index, n, access, struct.pack("<" + kind, v)) for n, v in enumerate(values, 1)]
    return rows


def _pdo_words(model: DeviceDescription, pdo: Pdo) -> tuple[int, ...]:
    return tuple(
        index << 16 | subindex << 8 | model.object(index, subindex).type.bits
        for index, subindex in pdo.entries
    )


def _dictionary(setup: SlaveSetup) -> list[_Entry]:
    """Return (index, subindex, access, bytes) of every object, standard ones first."""
    model, fixed = setup.device, Access.READ_ONLY
    identity = setup.expected_identity
    kind = 0x00020192 if model.kind is DeviceKind.DRIVE else 0x00001389
    rows: list[_Entry] = [
        (0x1000, 0, fixed, struct.pack("<I", kind)),
        (0x1008, 0, fixed, model.name.encode()),
    ]
    words = (identity.vendor_id, identity.product_code, identity.revision, 1)
    rows += _numbers(0x1018, "I", words, fixed)
    rows += _numbers(0x1C00, "B", tuple(row[3] for row in sync_managers(model)), fixed)
    assign = Access.READ_WRITE_PREOP if model.pdo_assignable else fixed
    rows += _numbers(0x1C12, "H", tuple(pdo.index for pdo in model.outputs), assign)
    rows += _numbers(0x1C13, "H", tuple(pdo.index for pdo in model.inputs), assign)
    for pdo in (*model.outputs, *model.inputs, *model.optional_pdos):
        rows += _numbers(pdo.index, "I", _pdo_words(model, pdo), fixed)
    for index in sorted({entry.index for entry in model.objects if entry.subindex > 0}):
        count = max(entry.subindex for entry in model.objects if entry.index == index)
        rows.append((index, 0, fixed, struct.pack("<B", count)))
    for entry in model.objects:
        value = struct.pack("<" + entry.type.format, entry.default)
        rows.append((entry.index, entry.subindex, entry.access, value))
    return rows


def _build_objects(slave: np.void, setup: SlaveSetup) -> dict[tuple[int, int], int]:
    offsets: dict[tuple[int, int], int] = {}
    used = 0
    rows = _dictionary(setup)
    if len(rows) > OBJECTS_MAX:
        raise ValueError(f"{setup.device.name}: {len(rows)} objects: more than {OBJECTS_MAX}")
    for n, (index, subindex, access, value) in enumerate(rows):
        slave["objects"][n] = (index, subindex, access.value, len(value), used)
        slave["values"][used : used + len(value)] = np.frombuffer(value, np.uint8)
        offsets[index, subindex] = used
        used += len(value)
    slave["object_count"] = len(rows)
    return offsets


def _build_mapping(
    slave: np.void,
    name: str,
    model: DeviceDescription,
    pdos: tuple[Pdo, ...],
    offsets: dict[tuple[int, int], int],
) -> None:
    bits = model.bit_offsets(pdos)
    for n, (entry, bit) in enumerate(bits.items()):
        slave[name + "s"][n] = (bit, offsets[entry], model.object(*entry).type.bits)
    slave[name + "_count"] = len(bits)


def _build_drive(drive: np.void, setup: SlaveSetup, offsets: dict[tuple[int, int], int]) -> None:
    scaling = setup.device.scaling
    drive["axis"] = -1 if setup.axis is None else setup.axis
    drive["setpoints_bridged"] = setup.device.quirks.setpoints_bridged
    drive["counts_per_unit"] = setup.increments_per_unit
    drive["velocity_counts_per_unit_s"] = (
        setup.increments_per_unit * scaling.velocity_counts_per_increment_s
    )
    drive["torque_counts_per_n"] = scaling.torque_counts_per_rated / setup.rated_force_n
    for name, index in DRIVE_OBJECTS.items():
        drive[name] = offsets.get((index, 0), -1)


def _build_channels(slave: np.void, setup: SlaveSetup, offsets: dict[tuple[int, int], int]) -> None:
    for n, channel in enumerate(setup.channels):
        entry = (channel.index, channel.subindex)
        kind = setup.device.object(*entry).type
        bits = 1 if kind is ObjectType.BIT else kind.bits
        slave["channels"][n] = (
            channel.unit_per_count, channel.signal, channel.element, offsets[entry], bits,
        )  # fmt: skip
    slave["channel_count"] = len(setup.channels)
