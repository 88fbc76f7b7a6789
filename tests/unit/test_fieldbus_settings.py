"""The bus in the settings: what the machine needs is there, or its lack is told by name."""

from pathlib import Path

import pytest

from controller.settings.document import SettingsError
from controller.settings.fieldbus import VIRTUAL, load_topology
from controller.settings.loader import load_machine
from drivers.image import AxisId

CONFIG = Path(__file__).resolve().parents[2] / "config"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A machine file of its own over the shipped one."""
    path = tmp_path / "machine.yaml"
    path.write_text(f"extends: {CONFIG / 'machine_ethercat.yaml'}\n")
    return path


def refused(machine: Path, text: str = "", topology: str | None = None) -> str:
    """What loading says with these lines added to the machine file, or with this topology file."""
    if topology is not None:
        (machine.parent / "bus.yaml").write_text(topology)
        text += "ethercat: bus.yaml\n"
    machine.write_text(machine.read_text() + text)
    with pytest.raises(SettingsError) as caught:
        load_topology(load_machine(machine))
    return str(caught.value)


def test_the_shipped_bus_has_a_drive_for_every_axis_and_follows_the_machines_period(
    machine: Path,
) -> None:
    machine.write_text(machine.read_text() + "period_us: 2000\n")
    topology = load_topology(load_machine(machine))
    assert {slave.axis for slave in topology.slaves if slave.axis is not None} == set(AxisId)
    assert (topology.interface, topology.period_ns) == (VIRTUAL, 2_000_000)


def test_a_topology_file_is_found_beside_the_file_that_names_it(machine: Path) -> None:
    assert load_machine(machine).ethercat == str(CONFIG / "ethercat.yaml")
    text = "interface: eth7\nstations: 1\n"
    (machine.parent / "bus.yaml").write_text(text)
    machine.write_text(machine.read_text() + "ethercat: bus.yaml\n")
    assert load_topology(load_machine(machine)).interface == "eth7"


def test_ethercat_without_a_topology_is_refused(tmp_path: Path) -> None:
    machine = tmp_path / "machine.yaml"
    machine.write_text(f"extends: {CONFIG / 'machine.yaml'}\n")
    assert "hal = ethercat: needs the bus's topology; add" in refused(machine, "hal: ethercat\n")


def test_a_missing_topology_file_is_named(machine: Path) -> None:
    said = refused(machine, "ethercat: nowhere.yaml\n")
    assert str(machine.parent / "nowhere.yaml") in said


DRIVE = "{device: generic_csp_drive, axis: TABLE_X"


@pytest.mark.parametrize(
    ("topology", "said"),
    [
        ("interface: eth1\n", "bus.yaml: give either stations"),
        ("stations: 1\nmisses_stop: many\n", "misses_stop = 'many': expected a whole number"),
        ("stations: 2\n", "(station 1 TABLE_X): the machine has 1 station(s)"),
        (f"slaves: [{DRIVE}}}]\n", "station 0: no drive for TABLE_Z,"),
        (f"slaves: [{DRIVE}}}]\n", "station 0: 0 of 4 channels for VACUUM; add them"),
        (f"slaves: [{DRIVE}, station: 9}}]\n", "slaves[0].station = 9: expected 0 to 7"),
    ],
)
def test_a_bus_that_does_not_serve_the_machine_is_refused(
    machine: Path, topology: str, said: str
) -> None:
    assert said in refused(machine, topology=topology)


CAMERA = "device: smart_camera, host: 10.0.0.9, port: 502"


@pytest.mark.parametrize(
    ("modbus", "said"),
    [
        ("[]", "station 0: no SHEET_CAMERA_ANODE; add it under modbus"),
        (
            f"[{{{CAMERA}, station: 3, reading: STACK_CAMERA}}]",
            "modbus STACK_CAMERA: station = 3: above the last station 0; lower it",
        ),
        (f"[{{{CAMERA}, station: 0, reading: EYE}}]", "reading = 'EYE': no such reading"),
        (
            "[{device: eye, host: 10.0.0.9, port: 502, station: 0, reading: STACK_CAMERA}]",
            "device = 'eye': no such device; write one of smart_camera",
        ),
    ],
)
def test_a_wrong_modbus_device_is_refused(machine: Path, modbus: str, said: str) -> None:
    if modbus != "[]":
        machine.write_text(f"extends: {CONFIG / 'machine.yaml'}\nhal: simulator\n")
    else:  # a list replaces the one below only where it is no list of mappings
        machine.write_text(
            f"extends: {CONFIG / 'machine.yaml'}\nhal: ethercat\n"
            f"ethercat: {CONFIG / 'ethercat.yaml'}\n"
        )
    assert said in refused(machine, f"modbus: {modbus}\n")


def test_a_reading_has_one_source(machine: Path) -> None:
    machine.write_text(f"extends: {CONFIG / 'machine.yaml'}\n")
    row = f"{{{CAMERA}, station: 0, reading: STACK_CAMERA}}"
    assert "two devices give the same reading" in refused(machine, f"modbus: [{row}, {row}]\n")
