"""What the supervisor is made of: children and their back-off, the operator, the status line."""

import sys
from pathlib import Path

import numpy as np
import pytest

from controller import processes
from controller.child import EXIT_REFUSED
from controller.console import reasons, status_text
from controller.operator_panel import Operator
from controller.processes import BACK_OFF_S_MAX, Child
from controller.shared import snapshot
from controller.shared.alarms import AlarmId
from controller.shared.commands import CommandCode
from controller.shared.conditions import ConditionId
from controller.shared.layout import PROCESS_COUNT, ProcessId
from controller.shared.packml import State
from controller.shared.status import (
    MACHINE_STATUS_DTYPE,
    STATION_STATUS_DTYPE,
    STATISTICS_DTYPE,
    Phase,
)
from controller.shared.view import SharedView, private_memory
from controller.supervisor import Supervisor
from drivers.ethercat.namespace import Tier

CONFIG = Path(__file__).resolve().parents[2] / "config"


class Clock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def monotonic(self) -> float:
        """The time as it was set."""
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The children's clock."""
    clock = Clock()
    monkeypatch.setattr(processes.time, "monotonic", clock.monotonic)
    return clock


def _dead(child: Child, status: int) -> None:
    """Give a child a process that has ended with this status."""
    code = (
        f"import os, signal; os.kill(os.getpid(), {-status})" if status < 0 else f"exit({status})"
    )
    child.process = processes.subprocess.Popen([sys.executable, "-c", code])
    child.process.wait()


def test_a_dying_child_is_restarted_ever_more_slowly(clock: Clock) -> None:
    child = Child("io", ["never.started"], ())
    child._started_s = clock.now_s
    waits = []
    for _ in range(8):
        _dead(child, 3)
        message = child.watch()
        assert message is not None
        assert message.startswith("io ended with status 3, restarted in")
        waits.append(child._next_start_s - clock.now_s)
        assert child.watch() is None
    assert waits == sorted(waits)
    assert waits[0] == pytest.approx(0.1)
    assert waits[-1] == BACK_OFF_S_MAX


def test_a_child_that_lived_long_is_restarted_at_once_again(clock: Clock) -> None:
    child = Child("io", ["never.started"], ())
    child._back_off_s = BACK_OFF_S_MAX
    child._started_s = clock.now_s
    clock.now_s += 11.0
    _dead(child, -9)
    assert child.watch() == "io was killed by SIGKILL, restarted in 0.1 s"


def test_the_core_is_never_restarted(clock: Clock) -> None:
    child = Child("core", ["never.started"], (), restart=False)
    _dead(child, -9)
    assert child.watch() == "core was killed by SIGKILL"
    clock.now_s += 100.0
    assert child.watch() is None
    assert child.process is None


def test_a_child_that_refuses_the_start_has_said_why_and_is_not_tried_again(clock: Clock) -> None:
    child = Child("io", ["never.started"], ())
    _dead(child, EXIT_REFUSED)
    assert child.watch() is None
    assert child.refused
    clock.now_s += 100.0
    assert child.watch() is None
    assert child.process is None


def test_a_child_that_does_not_hear_is_killed() -> None:
    child = Child("io", [], ())
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); input()"
    pipe = processes.subprocess.PIPE
    child.process = processes.subprocess.Popen(
        [sys.executable, "-c", deaf], stdin=pipe, stdout=pipe
    )
    assert child.process.stdout is not None
    child.process.stdout.readline()
    child.ask_to_end()
    assert not child.end(0.05)
    assert not child.running


def _view(state: State, inhibits: int = 0) -> SharedView:
    view = SharedView(private_memory(1, 1_000_000), ProcessId.SUPERVISOR)
    _show(view, state, inhibits)
    return view


def _show(view: SharedView, state: State, inhibits: int = 0) -> None:
    machine = np.zeros((), MACHINE_STATUS_DTYPE)
    machine["state"], machine["start_inhibits"], machine["cells_good"] = state, inhibits, 4
    snapshot.write_next(view.memory["machine"], machine)
    snapshot.write_next(view.memory["statistics"], np.ones((), STATISTICS_DTYPE))
    snapshot.write_next(view.memory["stations"][0]["status"], np.ones((), STATION_STATUS_DTYPE))


def _sent(view: SharedView) -> list[int]:
    slots = view.memory["lanes"][ProcessId.SUPERVISOR]["slots"]
    used = sorted((slot for slot in slots if slot["sequence"]), key=lambda slot: slot["sequence"])
    return [int(slot["code"]) for slot in used]


def _answer_all(view: SharedView) -> None:
    lane = view.memory["lanes"][ProcessId.SUPERVISOR]
    for slot in lane["slots"]:
        number = int(slot["sequence"]) // PROCESS_COUNT
        lane["answers"][number % 64] = number << 8 | 1


def test_the_operator_resets_waits_and_starts_once() -> None:
    view = _view(State.STOPPED)
    operator = Operator(view, cells=3)
    for state in (State.STOPPED, State.STOPPED, State.RESETTING, State.IDLE, State.STARTING):
        _show(view, state)
        operator.turn()
        _answer_all(view)
    assert _sent(view) == [CommandCode.SET_CELLS, CommandCode.RESET, CommandCode.START]
    _show(view, State.HELD)
    operator.turn()
    _show(view, State.STOPPED)
    operator.turn()
    assert len(_sent(view)) == 3
    assert not operator.done
    _show(view, State.COMPLETE)
    assert operator.done


def test_the_operator_waits_for_an_answer_for_a_plan_and_for_inhibits() -> None:
    view = _view(State.STOPPED, inhibits=1 << ConditionId.PLAN_VALID)
    operator = Operator(view, cells=None)
    operator.turn()
    assert _sent(view) == []
    _show(view, State.STOPPED)
    operator.turn()
    operator.turn()
    assert _sent(view) == [CommandCode.SET_CELLS]
    _answer_all(view)
    _show(view, State.IDLE, inhibits=1 << ConditionId.DOOR_CLOSED)
    operator.turn()
    assert _sent(view) == [CommandCode.SET_CELLS]


def test_the_status_line_says_where_the_machine_stands() -> None:
    view = SharedView(private_memory(1, 1_000_000), ProcessId.SUPERVISOR)
    assert status_text(view) is None
    _show(view, State.EXECUTE)
    text = status_text(view)
    assert text is not None
    for part in ("Execute", "cells 4 good", "sheet 1/1", "s/sheet", "overlay", "tension 1.00 N"):
        assert part in text
    assert f"overruns {int(view.memory['statistics']['slots'][1]['payload']['overruns'])}" in text
    assert Phase.LATENESS == 0


def test_the_reasons_for_standing_are_in_words() -> None:
    machine = np.zeros((), MACHINE_STATUS_DTYPE)
    assert reasons(machine) == []
    machine["stop_reason"] = AlarmId.WEB_BREAK
    machine["start_inhibits"] = 1 << ConditionId.DOOR_CLOSED | 1 << ConditionId.AXES_HOMED
    assert reasons(machine) == ["first out web break", "start needs door closed, axes homed"]


@pytest.mark.parametrize("status", [1, EXIT_REFUSED])
def test_virtual_hardware_that_never_comes_ends_the_run(status: int) -> None:
    said: list[str] = []
    config, recipe, plant = (
        CONFIG / name for name in ("machine_ethercat.yaml", "recipes/reference.yaml", "plant.yaml")
    )
    supervisor = Supervisor(config, recipe, plant, 1, said.append)
    assert supervisor.hardware is not None
    supervisor.hardware.tier = Tier.ROOT  # there is a wire, whoever runs this test
    supervisor.turn()
    assert not supervisor.ending
    _dead(supervisor.hardware.child, status)
    supervisor.turn()
    assert supervisor.ending
    assert supervisor.refused == (status == EXIT_REFUSED)
    assert supervisor.core_died == (status == 1)
    assert supervisor.core.process is None
    supervisor.end()
