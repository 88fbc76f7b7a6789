"""Two slots on disk: whatever happens to a write, the last whole record is what a start finds."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.shared.retained import RETAINED_DTYPE, machine_key
from controller.shared.slots import DIGEST_SIZE, HEADER_DTYPE, Slots

KEY = machine_key("stacker", ("left", "right"), 1000)
SMALL = np.dtype([("number", np.int64), ("values", np.float64, (20,))], align=True)
SIZE = HEADER_DTYPE.itemsize + SMALL.itemsize + DIGEST_SIZE
KILLS = 4

WRITER = """
import sys
from pathlib import Path
import numpy as np
from controller.shared.slots import Slots
SMALL = np.dtype([("number", np.int64), ("values", np.float64, (20,))], align=True)
slots = Slots(Path(sys.argv[1]), "kept", SMALL, bytes.fromhex(sys.argv[2]))
made = np.zeros(1, SMALL)
for number in range(1, 1_000_000):
    made["number"], made["values"] = number, float(number)
    slots.save(made)
    print(number, flush=True)
"""


def _record(number: int) -> np.ndarray:
    """A record whose every word tells its number."""
    made = np.zeros(1, SMALL)
    made["number"], made["values"] = number, float(number)
    return made


def _number(folder: Path) -> int:
    loaded, _ = Slots(folder, "kept", SMALL, KEY).load()
    if loaded is None:
        return 0
    assert (loaded["values"] == loaded["number"]).all()
    return int(loaded["number"][0])


def _kept(folder: Path, count: int) -> Slots:
    slots = Slots(folder, "kept", SMALL, KEY)
    for number in range(1, count + 1):
        slots.save(_record(number))
    return slots


def test_nothing_kept_is_no_error(tmp_path: Path) -> None:
    assert Slots(tmp_path / "none", "kept", SMALL, KEY).load() == (None, [])


def test_the_newest_record_is_loaded_and_its_forerunner_stays(tmp_path: Path) -> None:
    _kept(tmp_path, 5)
    assert _number(tmp_path) == 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept.a", "kept.b"]
    (tmp_path / "kept.a").unlink()
    assert _number(tmp_path) == 4


def _newest(folder: Path) -> Path:
    return max(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)


@pytest.mark.parametrize("length", range(0, SIZE, 7))
def test_a_slot_torn_anywhere_leaves_the_one_before(tmp_path: Path, length: int) -> None:
    _kept(tmp_path, 3)
    newest = tmp_path / "kept.a"
    newest.write_bytes(newest.read_bytes()[:length])
    loaded, ignored = Slots(tmp_path, "kept", SMALL, KEY).load()
    assert loaded is not None and int(loaded["number"][0]) == 2
    assert ignored == [f"{newest}: torn or corrupt, ignored"]


@given(place=st.integers(0, SIZE - 1), flip=st.integers(1, 255))
def test_a_byte_changed_anywhere_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, place: int, flip: int
) -> None:
    folder = tmp_path_factory.mktemp("flipped")
    _kept(folder, 3)
    data = bytearray((folder / "kept.a").read_bytes())
    data[place] ^= flip
    (folder / "kept.a").write_bytes(data)
    assert _number(folder) == 2


def test_after_a_torn_slot_the_next_write_spares_the_whole_one(tmp_path: Path) -> None:
    slots = _kept(tmp_path, 3)
    (tmp_path / "kept.a").write_bytes(b"torn")
    whole = (tmp_path / "kept.b").read_bytes()
    slots.save(_record(4))
    assert _number(tmp_path) == 4
    assert (tmp_path / "kept.b").read_bytes() == whole


def test_a_write_that_never_took_its_name_is_not_seen(tmp_path: Path) -> None:
    _kept(tmp_path, 2)
    (tmp_path / "kept.a.new").write_bytes(b"half a record")
    assert _number(tmp_path) == 2


def test_another_machines_record_is_refused_by_name(tmp_path: Path) -> None:
    _kept(tmp_path, 2)
    other = Slots(tmp_path, "kept", SMALL, machine_key("stacker", ("left",), 1000))
    loaded, ignored = other.load()
    assert loaded is None
    assert all("of another machine" in line for line in ignored) and len(ignored) == 2


def test_another_layout_is_refused_by_name_and_then_replaced(tmp_path: Path) -> None:
    _kept(tmp_path, 2)
    grown = Slots(tmp_path, "kept", RETAINED_DTYPE, KEY)
    loaded, ignored = grown.load()
    assert loaded is None and "of another build's layout" in ignored[0]
    grown.save(np.zeros(1, RETAINED_DTYPE))
    assert grown.load()[0] is not None


@pytest.mark.parametrize("after", range(KILLS))
def test_a_writer_killed_at_any_instant_leaves_a_whole_record(tmp_path: Path, after: int) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path), KEY.hex()]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as writer:
        assert writer.stdout is not None
        told = 0
        for line in writer.stdout:
            told = int(line)
            if told > 7 * after:
                writer.send_signal(signal.SIGKILL)
                break
        told = max([told, *(int(line) for line in writer.stdout if line.endswith("\n"))])
    assert told <= _number(tmp_path) <= told + 1
