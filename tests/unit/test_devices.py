"""The contract every device file keeps: complete, consistent, scaled both ways, known to the registry."""

import struct
from pathlib import Path

import numpy as np
import pytest

from drivers import devices
from drivers.cia402 import ObjectIndex
from drivers.devices.description import Access, DeviceDescription, DeviceKind
from drivers.devices.registry import DEVICES, MODBUS_DEVICES, device
from drivers.ethercat.link import LINK_DTYPE, make_link
from drivers.ethercat.process_data import pack, unpack
from drivers.ethercat.protocol import AlState
from drivers.ethercat.signals import Channel, SignalId
from drivers.ethercat.topology import SlaveSetup, Topology, TopologyError, read_topology
from drivers.image import IMAGE_DTYPE, AxisId
from hal_sim.ethercat.lockstep import Lockstep
from hal_sim.ethercat.sii import sii_bytes

every_device = pytest.mark.parametrize("model", DEVICES.values(), ids=DEVICES.keys())
drives = [model for model in DEVICES.values() if model.kind is DeviceKind.DRIVE]
every_drive = pytest.mark.parametrize("model", drives, ids=[model.name for model in drives])


def alone(model: DeviceDescription) -> Topology:
    """A bus of this device alone."""
    drive = model.kind is DeviceKind.DRIVE
    return Topology((SlaveSetup(model, axis=AxisId.FEED if drive else None),))


def test_every_device_file_is_registered() -> None:
    folder = Path(next(iter(devices.__path__)))
    files = {path.stem for path in folder.glob("*.py") if "\nDEVICE = " in path.read_text()}
    assert files == DEVICES.keys() | MODBUS_DEVICES.keys()


def test_an_unknown_device_lists_the_known() -> None:
    with pytest.raises(KeyError, match="generic_csp_drive"):
        device("no_such_drive")


@every_device
def test_every_mapped_object_exists_and_fits_whole_bytes(model: DeviceDescription) -> None:
    for pdo in (*model.outputs, *model.inputs, *model.optional_pdos):
        for entry in pdo.entries:
            assert model.object(*entry).type.bits > 0
    assert model.bits(model.outputs) % 8 == model.bits(model.inputs) % 8 == 0


@every_device
def test_what_the_master_sends_is_writable(model: DeviceDescription) -> None:
    for pdo in model.outputs:
        assert all(model.object(*e).access is not Access.READ_ONLY for e in pdo.entries)


@every_device
def test_every_start_up_value_fits_its_type(model: DeviceDescription) -> None:
    for write in model.startup:
        assert len(struct.pack("<" + write.type.format, write.value)) * 8 == write.type.bits


@every_device
def test_the_eeprom_carries_the_identity(model: DeviceDescription) -> None:
    words = struct.unpack("<3I", sii_bytes(model, model.identity)[16:28])
    assert words == (model.identity.vendor_id, model.identity.product_code, model.identity.revision)


def test_identities_are_distinct() -> None:
    assert len({model.identity for model in DEVICES.values()}) == len(DEVICES)


@every_device
def test_the_simulated_device_reaches_op_with_its_start_up_writes(model: DeviceDescription) -> None:
    bus = Lockstep(alone(model))
    bus.bring_up()
    assert bus.acyclic.word(0, 0x0130) == AlState.OP
    assert bus.acyclic.identity(0) == model.identity
    assert bus.link["working_counter_expected"] == model.working_counter


@every_drive
def test_a_drive_maps_what_csp_needs(model: DeviceDescription) -> None:
    sent = {index for pdo in model.outputs for index, _ in pdo.entries}
    seen = {index for pdo in model.inputs for index, _ in pdo.entries}
    assert {ObjectIndex.CONTROLWORD, ObjectIndex.TARGET_POSITION} <= sent
    assert {ObjectIndex.STATUSWORD, ObjectIndex.POSITION_ACTUAL, ObjectIndex.ERROR_CODE} <= seen
    assert model.quirks.velocity_from_position == (ObjectIndex.VELOCITY_ACTUAL not in seen)
    assert model.quirks.target_torque_in_cst == (ObjectIndex.TARGET_TORQUE in sent)


def link_of(model: DeviceDescription) -> np.void:
    return make_link(alone(model)).view(LINK_DTYPE)[0]


def counts(link: np.void, field: str, size: int) -> int:
    start = int(link["axes"][0][field])
    return int.from_bytes(bytes(link["outputs"][start : start + size]), "little", signed=True)


@every_drive
def test_targets_leave_in_counts(model: DeviceDescription) -> None:
    link, image = link_of(model), np.zeros(1, IMAGE_DTYPE)[0]
    target = image["outputs"]["stations"][0]["axes"][AxisId.FEED]
    target["target_position_m"], target["velocity_offset_m_s"] = -0.25, 0.5
    target["force_offset_n"], target["mode"] = -10.0, 8
    pack(link, image["outputs"])
    assert counts(link, "target_position", 4) == -2_500_000
    velocity = 0.5 * 1e7 * model.scaling.velocity_counts_per_increment_s
    assert counts(link, "velocity_offset", 4) == velocity
    assert counts(link, "torque_offset", 2) == -model.scaling.torque_counts_per_rated / 2


@every_drive
def test_torque_saturates_and_nan_leaves_the_last_position(model: DeviceDescription) -> None:
    link, image = link_of(model), np.zeros(1, IMAGE_DTYPE)[0]
    target = image["outputs"]["stations"][0]["axes"][AxisId.FEED]
    target["target_position_m"] = 0.1
    pack(link, image["outputs"])
    target["target_position_m"], target["force_offset_n"] = np.nan, 1e9
    pack(link, image["outputs"])
    assert counts(link, "target_position", 4) == 1_000_000
    assert counts(link, "torque_offset", 2) == 32767


@every_drive
def test_a_position_is_carried_on_beyond_32_bits(model: DeviceDescription) -> None:
    link, image = link_of(model), np.zeros(1, IMAGE_DTYPE)[0]
    start = int(link["axes"][0]["position"])
    feed = image["inputs"]["stations"][0]["axes"][AxisId.FEED]
    for turn in range(60):
        raw = (turn * 100_000_000) & 0xFFFFFFFF
        link["inputs"][start : start + 4] = list(raw.to_bytes(4, "little"))
        unpack(link, image["inputs"], 1_000_000)
        assert feed["actual_position_m"] == pytest.approx(turn * 10.0, rel=1e-12)
    assert feed["actual_position_m"] == 590.0, "m: 32 bits of 0.1 um end at 214"


# -- the topology file

DRIVE = {"device": "generic_csp_drive", "axis": "FEED"}


def test_a_topology_file_describes_a_bus() -> None:
    bit = {"index": 0x6000, "subindex": 3, "signal": "DOOR_CLOSED"}
    topology = read_topology(
        {
            "interface": "eth7",
            "slaves": [
                {"device": "generic_compact_drive", "axis": "FEED", "rated_force_n": 30.0},
                {"device": "generic_digital_terminal", "channels": [bit]},
            ],
        }
    )
    assert topology.slaves[0].axis is AxisId.FEED
    assert topology.slaves[1].channels == (Channel(0x6000, 3, SignalId.DOOR_CLOSED),)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "give either stations"),
        ({"stations": 9}, "stations = 9: expected a whole number from 1 to 8"),
        ({"stations": 1, "interfaze": "x"}, "interfaze: unknown key"),
        ({"slaves": []}, "none configured"),
        ({"slaves": [{"device": "nothing"}]}, "unknown device"),
        ({"slaves": [{"device": "generic_csp_drive"}]}, "a drive needs an axis"),
        ({"slaves": [{"device": "generic_csp_drive", "axis": "TABLE_Q"}]}, "not an axis"),
        ({"stations": 1, "reply_timeout_ns": 2_000_000}, "within the period"),
        ({"stations": 1, "reply_timeout_ns": "soon"}, "'soon': expected a whole number from 10000"),
        ({"stations": 1, "misses_stop": 0}, "misses_stop = 0: expected a whole number from 1"),
        ({"stations": 1, "distributed_clock": 1}, "distributed_clock = 1: expected true or false"),
        ({"slaves": "all"}, "slaves = 'all': expected a list"),
        ({"slaves": [{**DRIVE, "station": 8}]}, r"slaves\[0\].station = 8: expected 0 to 7"),
        ({"slaves": [{**DRIVE, "increments_per_unit": 0}]}, "increments_per_unit = 0: expected"),
        ({"slaves": [{**DRIVE, "identity": {"vendor": 1}}]}, "expected numbers for vendor_id"),
    ],
)
def test_a_wrong_topology_is_refused_by_name(values: dict[str, object], words: str) -> None:
    with pytest.raises(TopologyError, match=words):
        read_topology(values)


def test_two_drives_of_one_axis_are_refused() -> None:
    row = {"device": "generic_csp_drive", "axis": "FEED"}
    with pytest.raises(TopologyError, match="slaves 1 and 2 both are station 0 FEED"):
        read_topology({"slaves": [row, row]})
