"""Replay: a recorded run comes out of the scan bit for bit, and a single changed bit shows."""

from pathlib import Path

import numpy as np
import pytest

from controller.assembly import build_simulated, new_plans
from controller.runtime.replay import Recording, load, record_virtual, replay, save
from controller.runtime.trace import COMMAND_WORDS
from controller.settings.loader import load_machine, load_settings
from controller.settings.plant import PlantSettings
from controller.shared.commands import CommandCode
from controller.shared.layout import ProcessId
from controller.shared.plan import PLAN_DTYPE
from controller.shared.view import SharedView
from controller.station.scan import scan
from drivers.image import INPUTS_DTYPE, STATION_INPUT_DTYPE
from tests.machines import counting_scan, small_machine

CYCLES = 2000
CONFIG = Path(__file__).resolve().parents[2] / "config"


@pytest.fixture(scope="module")
def recording() -> Recording:
    """Two seconds of the whole machine on the simulator, a command and a plan on the way."""
    settings = load_machine(CONFIG / "machine.yaml")
    plant = load_settings(CONFIG / "plant.yaml", PlantSettings)
    machine = build_simulated(settings, plant, new_plans(1), seed=3)
    gateway = SharedView(machine.memory, ProcessId.GATEWAY)
    for code in (CommandCode.RESET, CommandCode.ABORT, CommandCode.CLEAR, CommandCode.RESET):
        gateway.send(code)
    plan = np.zeros((), PLAN_DTYPE)
    plan["valid"], plan["sheets"] = 1, 107
    gateway.write_plan(0, 1, plan)
    return record_virtual(machine, CYCLES)


def test_a_recorded_run_replays_bit_for_bit(recording: Recording) -> None:
    assert recording.rows.shape[0] == CYCLES
    assert len({row.tobytes() for row in recording.rows[:, -recording.output_words :]}) > 1
    assert [change.plan is not None for change in recording.changes] == [False, True]
    assert replay(recording, scan) is None


def test_a_recording_survives_its_file(recording: Recording, tmp_path: Path) -> None:
    save(recording, tmp_path / "run.recording")
    again = load(tmp_path / "run.recording")
    assert again.rows.tobytes() == recording.rows.tobytes()
    assert replay(again, scan) is None


def test_a_recording_of_another_layout_is_refused(recording: Recording, tmp_path: Path) -> None:
    path = tmp_path / "run.recording"
    save(recording, path)
    content = path.read_bytes()
    at = content.index(b'"layout": "') + len(b'"layout": "')
    path.write_bytes(content[:at] + b"0" * 8 + content[at + 8 :])
    with pytest.raises(ValueError, match="another build"):
        load(path)


def _recorded_small_run(cycles: int = CYCLES) -> Recording:
    machine = small_machine()
    view = SharedView(machine.memory, ProcessId.GATEWAY)
    for number in range(40):
        view.send(CommandCode.SET_SPEED_OVERRIDE, value=0.01 * number)
    return record_virtual(machine, cycles)


def test_one_flipped_input_bit_is_found_in_its_cycle_and_field() -> None:
    recorded = _recorded_small_run()
    fields = INPUTS_DTYPE.fields
    station = STATION_INPUT_DTYPE.fields
    assert fields is not None
    assert station is not None
    word = (fields["stations"][1] + station["tension_n"][1]) // 8
    recorded.rows[1234, word] ^= np.uint64(1 << 62)
    difference = replay(recorded, counting_scan)
    assert difference is not None
    assert difference.cycle == 1234
    assert difference.fields == ("stations[0].axes[0].target_position_m",)


def test_one_flipped_command_bit_is_found() -> None:
    recorded = _recorded_small_run(cycles=100)
    value = recorded.input_words + 3  # sequence, code and station, index and source, value
    assert COMMAND_WORDS == 8
    recorded.rows[20, value] ^= np.uint64(1 << 51)
    difference = replay(recorded, counting_scan)
    assert difference is not None
    assert difference.cycle == 20


def test_one_flipped_output_bit_is_found() -> None:
    recorded = _recorded_small_run(cycles=100)
    recorded.rows[77, -1] ^= np.uint64(1)
    difference = replay(recorded, counting_scan)
    assert difference is not None
    assert difference.cycle == 77


def test_a_recording_begins_at_power_on() -> None:
    machine = small_machine()
    record_virtual(machine, 10)
    with pytest.raises(ValueError, match="must begin at 0"):
        record_virtual(machine, 10)
