"""docs/add-a-function.md, carried out on a copy of the sources: an engineer's input, alarm and interlock."""

import ast
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/add-a-function.md").read_text()
INSERTION = re.compile(r"(Below|Last in) `([^`]+)` in `([^`]+)`:\n\n```python\n(.*?)```", re.DOTALL)
STORY = re.search(r"## Try it\n\n```python\n(.*?)```", PAGE, re.DOTALL)

# The scan without a compiler: records that answer to attributes, and a machine in production.
STAGE = """
import numpy as np
from controller.shared.alarms import AlarmId
from controller.shared.commands import COMMAND_DTYPE, CommandCode
from controller.shared.conditions import INTERLOCKS, ConditionId
from controller.shared.packml import State
from controller.shared.plan import PLAN_DTYPE
from controller.station.scan import scan
from controller.station.state import STATE_DTYPE
from drivers.image import IMAGE_DTYPE, BusState

def records(dtype, count=1):
    return np.zeros(count, np.dtype((np.record, dtype))).view(np.recarray)

image, state, order = records(IMAGE_DTYPE)[0], records(STATE_DTYPE)[0], records(COMMAND_DTYPE)[0]
plans = records(PLAN_DTYPE, 2)
plans.valid = plans.dry = 1
inputs, reported = image.inputs, image.inputs.stations[0]
inputs.station_count, inputs.period_ns, inputs.bus.state = 1, 1_000_000, BusState.OPERATIONAL
for flag in ("emergency_stop_ok", "safe_torque_off_ok", "door_closed", "air_pressure_ok"):
    setattr(reported, flag, 1)
reported.axes["statusword"] = 0x27  # OPERATION ENABLED

def cycle():
    inputs.time_ns += inputs.period_ns
    scan(inputs, order, state, image.outputs, plans)

def alarms():
    return [AlarmId(i).name for i in np.flatnonzero(state.stations[0].status.alarms)]

def start_inhibits():
    return [c.name for c in ConditionId if int(state.machine.start_inhibits) >> c & 1]

def state_of_machine():
    return int(state.machine.state)

def water(flows):
    reported.cooling_water_ok = flows
    cycle()

def command(code):
    order.sequence, order.code = order.sequence + 1, code
    cycle()

water(True)
state.machine.state = State.EXECUTE
cycle()
assert alarms() == [], alarms()
assert state_of_machine() == State.EXECUTE
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the packages, without compiled code."""
    for package in ("controller", "drivers", "hal_sim", "motion"):
        shutil.copytree(
            ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    return tmp_path


def insert(tree: Path, where: str, anchor: str, file: str, block: str) -> None:
    path = tree / file
    lines = path.read_text().splitlines()
    line, indent = _below(lines, anchor) if where == "Below" else _last_in(lines, anchor)
    if "<next>" in block:
        number = int(re.findall(r"= (\d+)", lines[line - 1])[0]) + 1
        block = block.replace("<next>", str(number))
    lines[line:line] = textwrap.indent(block.rstrip(), indent).splitlines()
    path.write_text("\n".join(lines) + "\n")


def _below(lines: list[str], anchor: str) -> tuple[int, str]:
    (index,) = [i for i, line in enumerate(lines) if line.strip().startswith(anchor)]
    return index + 1, _indent(lines[index])


def _last_in(lines: list[str], name: str) -> tuple[int, str]:
    """Line below the last element of a class, function, dict or tuple, and its indentation."""
    for node in ast.parse("\n".join(lines)).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            assert node.end_lineno is not None
            return node.end_lineno, " " * 4
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            assert node.end_lineno is not None
            return node.end_lineno - 1, " " * 4
    raise AssertionError(f"{name} is gone")


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def run_story(tree: Path) -> subprocess.CompletedProcess[str]:
    assert STORY is not None
    return subprocess.run(
        [sys.executable, "-c", STAGE + STORY.group(1)],
        cwd=tree, env={**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(tree)},
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


def test_the_page_adds_an_input_an_alarm_and_an_interlock(tree: Path) -> None:
    insertions = INSERTION.findall(PAGE)
    assert {file for *_, file, _ in insertions} == {
        "drivers/image.py",
        "hal_sim/sensors/signals.py",
        "controller/shared/alarms.py",
        "controller/shared/conditions.py",
        "controller/station/conditions.py",
    }
    for insertion in insertions:
        insert(tree, *insertion)
    result = run_story(tree)
    assert result.returncode == 0, result.stderr


# The story plays the hardware itself, so the simulator's line is not missed.
NEEDED = [i for i, found in enumerate(INSERTION.findall(PAGE)) if "hal_sim" not in found[2]]


@pytest.mark.parametrize("missing", NEEDED)
def test_each_of_its_lines_is_needed(tree: Path, missing: int) -> None:
    for index, insertion in enumerate(INSERTION.findall(PAGE)):
        if index != missing:
            insert(tree, *insertion)
    assert run_story(tree).returncode != 0
