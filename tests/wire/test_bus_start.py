"""A machine on EtherCAT wakes up: not ready is no alarm, and what cannot start says why in one line."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from controller import fieldbus
from controller.assembly import Machine, build_lockstep, build_unconnected, new_plans
from controller.child import EXIT_REFUSED, StartRefused
from controller.fieldbus import bus_on_line
from controller.runtime.virtual import run_virtual
from controller.settings.fieldbus import load_topology
from controller.settings.loader import load_machine, load_settings
from controller.settings.machine import MachineSettings
from controller.settings.plant import PlantSettings
from controller.shared.alarms import AlarmId
from controller.shared.conditions import ConditionId
from controller.shared.packml import State
from drivers.ethercat.bring_up import Bus
from drivers.ethercat.protocol import AlState, Register
from drivers.ethercat.topology import drives_topology
from drivers.image import BusState
from hal_sim.ethercat.lockstep import body_of

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "config"
RUN = "import sys; sys.argv[0] = 'foldline'; from controller.cli import main; main()"


@pytest.fixture(scope="module")
def settings() -> MachineSettings:
    """The reference machine on EtherCAT."""
    return load_machine(CONFIG / "machine_ethercat.yaml")


def alarms(machine: Machine) -> list[str]:
    raised = np.flatnonzero(machine.state[0]["stations"][0]["status"]["alarms"])
    return [AlarmId(int(alarm)).name for alarm in raised]


def inhibits(machine: Machine) -> set[ConditionId]:
    bits = int(machine.state[0]["machine"]["start_inhibits"])
    return {condition for condition in ConditionId if bits >> condition & 1}


def state(machine: Machine) -> State:
    return State(int(machine.state[0]["machine"]["state"]))


def test_before_the_bus_came_up_nothing_is_known_and_nobody_is_accused(
    settings: MachineSettings,
) -> None:
    machine = build_unconnected(settings, load_topology(settings), new_plans(1))
    run_virtual(machine, 30)
    bus = machine.image[0]["inputs"]["bus"]
    assert bus["state"] == BusState.DOWN and bus["misses_in_a_row"] == 30
    assert alarms(machine) == []
    assert state(machine) is State.STOPPED
    assert {ConditionId.EMERGENCY_STOP_OK, ConditionId.BUS_OPERATIONAL} <= inhibits(machine)


def test_a_bus_that_was_up_and_falls_is_an_alarm(settings: MachineSettings) -> None:
    plant = load_settings(CONFIG / "plant.yaml", PlantSettings)
    machine = build_lockstep(settings, plant, new_plans(1), 1)
    run_virtual(machine, 50)
    assert alarms(machine) == []
    assert ConditionId.BUS_OPERATIONAL not in inhibits(machine)
    assert ConditionId.EMERGENCY_STOP_OK not in inhibits(machine)
    slaves = lockstep_slaves(machine)
    slaves[3]["powered"] = 0
    run_virtual(machine, 2)
    assert "BUS_DOWN" in alarms(machine)
    assert machine.state[0]["machine"]["stop_reason"] == AlarmId.BUS_DOWN


def lockstep_slaves(machine: Machine) -> Any:
    from hal_sim.ethercat.body import Body

    return Body.over(body_of.py_func(machine.context)).slaves


def test_a_slave_that_answers_in_safe_op_is_not_ready(settings: MachineSettings) -> None:
    plant = load_settings(CONFIG / "plant.yaml", PlantSettings)
    machine = build_lockstep(settings, plant, new_plans(1), 1)
    lockstep_slaves(machine)[0]["memory"][Register.AL_STATUS] = AlState.SAFEOP
    run_virtual(machine, 20)
    assert alarms(machine) == [], "it never was up"
    assert ConditionId.BUS_OPERATIONAL in inhibits(machine)


def test_a_refused_bring_up_is_a_refused_start() -> None:
    with (
        pytest.raises(StartRefused, match="nowhere9: "),
        bus_on_line(drives_topology(1, interface="nowhere9"), print),
    ):
        pass


def test_the_slow_path_may_fail_and_does_not_repeat_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now_s = [100.0]
    done = ["position 1: found again"]
    monkeypatch.setattr(fieldbus.time, "monotonic", lambda: now_s[0])
    monkeypatch.setattr(Bus, "__init__", lambda self, topology: setattr(self, "topology", topology))
    monkeypatch.setattr(Bus, "restore", lambda _: list(done))
    bus = fieldbus.LineBus(drives_topology(1, interface="eth7"))
    assert bus.restore() == done
    assert bus.restore() == []
    done.append("position 2: OP asked for")
    assert bus.restore() == done[1:]
    now_s[0] += fieldbus.QUIET_S
    assert bus.restore() == done

    def fails(_: Bus) -> list[str]:
        raise OSError("the card is gone")

    monkeypatch.setattr(Bus, "restore", fails)
    (line,) = bus.restore()
    assert "eth7" in line
    assert "the card is gone" in line


def test_without_the_capability_its_name_is_told() -> None:
    code = (
        "from drivers.ethercat.packet_socket import open_packet_socket\n"
        "from drivers.ethercat.topology import TopologyError\n"
        "try:\n    open_packet_socket('lo')\nexcept TopologyError as error:\n    print(error)\n"
    )
    command = [sys.executable, "-c", code]
    if os.geteuid() == 0:
        command = ["setpriv", "--bounding-set", "-net_raw", "--inh-caps", "-net_raw", *command]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "lo: raw sockets refused: expected the capability CAP_NET_RAW, found none" in done.stdout


def test_a_run_on_a_missing_interface_ends_at_once_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "bus.yaml").write_text("interface: nowhere9\nstations: 1\n")
    config = tmp_path / "machine.yaml"
    camera = "device: smart_camera, host: 127.0.0.1, port: 1, station: 0"
    cameras = ("SHEET_CAMERA_ANODE", "SHEET_CAMERA_CATHODE", "STACK_CAMERA")
    config.write_text(
        f"extends: {CONFIG / 'machine.yaml'}\nhal: ethercat\nethercat: bus.yaml\n"
        "real_time: {core_cpu: 0, priority: 0, lock_memory: false}\nopcua: {port: 0}\n"
        f"modbus: [{', '.join(f'{{{camera}, reading: {name}}}' for name in cameras)}]\n"
    )
    settings = ["--plant", CONFIG / "plant.yaml", "--recipe", CONFIG / "recipes" / "reference.yaml"]
    done = subprocess.run(
        [sys.executable, "-c", RUN, "run", "--config", config, *settings],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == EXIT_REFUSED, done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith(("core:", "io:"))]
    refusals = [line for line in said if "nowhere9" in line or "127.0.0.1:1" in line]
    assert refusals, done.stderr
    assert "Traceback" not in done.stderr
