"""A look at a running machine from outside: its memory is found, read, and never written."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from controller import running
from controller.attach import NoMachine, attach
from controller.bus_command import bus_app
from controller.shared import snapshot
from controller.shared.layout import CorePhase, ProcessId
from controller.shared.status import MACHINE_STATUS_DTYPE, STATISTICS_DTYPE
from controller.shared.view import SharedView, create_memory
from drivers.image import BusState


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[SharedView]:
    """The memory of a machine that runs in this very process."""
    fd = create_memory(1, 1_000_000)
    view = SharedView.attach(fd, ProcessId.CORE)
    own = Path(f"/proc/{os.getpid()}/fd/{fd}")
    assert own in running.memories()
    monkeypatch.setattr(running, "memories", lambda: iter([own]))
    yield view
    os.close(fd)


def show(view: SharedView, **fields: int) -> None:
    """What the loop publishes."""
    status = np.zeros((), MACHINE_STATUS_DTYPE)
    for name, value in fields.items():
        status[name] = value
    snapshot.write_next(view.memory["machine"], status)
    snapshot.write_next(view.memory["statistics"], np.zeros((), STATISTICS_DTYPE))


def test_a_machine_is_found_while_its_core_runs(machine: SharedView) -> None:
    assert running.find_running() is None
    machine.header["core_phase"] = CorePhase.RUNNING
    found = running.find_running()
    assert found is not None
    assert found.run == machine.run
    with pytest.raises(ValueError, match="read-only"):
        found.header["core_phase"] = CorePhase.DEAD
    machine.header["core_phase"] = CorePhase.ENDED
    assert running.find_running() is None


def test_a_memory_of_another_build_is_passed_over(machine: SharedView) -> None:
    machine.header["core_phase"] = CorePhase.RUNNING
    machine.header["layout"] = 0
    assert running.find_running() is None


def test_the_console_finds_its_machine_and_tells_one_of_another_build(
    machine: SharedView,
) -> None:
    with pytest.raises(NoMachine, match="no machine of this user is running"):
        attach()
    machine.header["pids"][ProcessId.SUPERVISOR] = os.getpid()
    assert attach(os.getpid()).run == machine.run
    machine.header["layout"] = 0
    with pytest.raises(NoMachine, match=f"is of another build \\({os.getpid()}\\)"):
        attach()


def test_foldline_bus_shows_what_the_running_loop_counts(machine: SharedView) -> None:
    machine.header["core_phase"] = CorePhase.RUNNING
    show(
        machine, bus_state=BusState.DEGRADED, al_status=8, working_counter=89,
        working_counter_expected=92, frames_lost=7, frames_late=5, clock_offset_ns=-2400,
    )  # fmt: skip
    result = CliRunner().invoke(bus_app, [])
    assert result.exit_code == 0, result.output
    shown = {
        row.split("│")[1].strip(): row.split("│")[2].strip()
        for row in result.output.splitlines()
        if row.startswith("│")
    }
    assert shown["bus"] == "DEGRADED"
    assert shown["AL status of all slaves"] == "OP"
    assert shown["working counter"] == "89 of 92"
    assert (shown["frames lost"], shown["frames late"]) == ("7", "5")
    assert shown["clock offset"] == "-2.4 us"
