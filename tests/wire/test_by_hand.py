"""`foldline order` and `foldline identify --running` at a live machine, as a person types them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from controller.cli import app
from controller.shared.commands import CommandCode
from controller.shared.events import EventKind
from controller.shared.layout import ProcessId
from controller.shared.packml import Mode, State
from controller.shared.view import SharedView
from drivers.image import AxisId
from tests.wire.opcua_bench import ROOT
from tests.wire.test_opcua_run import WAIT_S_MAX, Run

ATTEMPTS = 5  # on a busy machine a measurement may lose samples, and says so
LOOK_S = 0.02


@dataclass
class Bench:
    """A machine that runs, its memory, and the console beside it."""

    folder: Path
    supervisor: subprocess.Popen[bytes]
    view: SharedView

    def type(self, *words: str) -> tuple[int, str]:
        """Type a command; its exit status and all that it printed."""
        answer = CliRunner().invoke(app, [*words, "--pid", str(self.supervisor.pid)])
        return answer.exit_code, answer.output

    def order(self, *words: str) -> str:
        """Give an order; an answer that a busy machine did not give in time is asked for again."""
        end_s = time.monotonic() + WAIT_S_MAX
        while True:
            status, output = self.type("order", *words)
            if "an answer did not come" not in output:
                assert status == (0 if output == "accepted\n" else 1), output
                return output.strip()
            assert time.monotonic() < end_s, output

    def identify(self) -> subprocess.CompletedProcess[str]:
        """Let the table's mode be measured, in a process that may load compiled code."""
        command = [sys.executable, "-c", "from controller.cli import main; main()", "identify"]
        command += ["--running", "--json", "--pid", str(self.supervisor.pid)]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True,
            timeout=WAIT_S_MAX, check=False,
        )  # fmt: skip

    def state(self) -> State:
        """The machine's state."""
        machine = self.view.read_machine()
        return State.ABORTED if machine is None else State(int(machine["state"]))

    def target_m(self, axis: AxisId) -> float:
        """Where an axis is sent."""
        status: Any = self.view.read_station(0)
        return float(status["axes"][axis]["target_position_m"])

    def to_idle(self) -> None:
        """Come to Idle with an empty table, whatever is in the way."""

        def idle() -> bool:
            self.type(
                "order", {State.STOPPED: "reset", State.ABORTED: "clear"}.get(self.state(), "none")
            )
            return self.state() == State.IDLE

        eventually(idle)


def eventually(condition: Callable[[], bool]) -> None:
    """Wait for a condition, as long as a busy machine needs."""
    end_s = time.monotonic() + WAIT_S_MAX
    while not condition():
        assert time.monotonic() < end_s, "the condition never came true"
        time.sleep(LOOK_S)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A machine started with --manual, in Idle."""
    run = Run(tmp_path_factory.mktemp("run"))
    supervisor = run.start()
    try:
        machine: list[SharedView] = []

        def up() -> bool:
            assert supervisor.poll() is None, run.log_path.read_text()[-6000:]
            try:
                machine[:] = [run.view_of(supervisor)]
            except AssertionError:
                return False
            return machine[0].read_machine() is not None

        eventually(up)
        bench = Bench(run.folder, supervisor, machine[0])
        bench.to_idle()
        yield bench
        supervisor.send_signal(signal.SIGTERM)
        assert supervisor.wait(WAIT_S_MAX) == 0
    finally:
        if supervisor.poll() is None:
            supervisor.kill()
            supervisor.wait(WAIT_S_MAX)
        run.held.close()


def test_axes_are_moved_by_hand_and_the_cell_step_by_step(bench: Bench) -> None:
    assert bench.order("jog", "0.01", "--axis", "table_x") == (
        "refused: not in PRODUCTION: set_mode 3 (MANUAL)"
    )
    assert bench.order("set_mode", "3") == "accepted"
    here_m = bench.target_m(AxisId.TABLE_X)
    assert bench.order("jog_step", "-0.01", "--axis", "table_x") == "accepted"
    eventually(lambda: bench.target_m(AxisId.TABLE_X) == pytest.approx(here_m - 0.01))
    assert bench.order("jog", "-0.02", "--axis", "table_x", "--seconds", "0.3") == "accepted"
    eventually(lambda: bench.target_m(AxisId.TABLE_X) < here_m - 0.0101)
    assert bench.order("jog_stop") == "accepted"
    assert bench.order("jog_step", "0.01", "--axis", "feed").endswith("follows the web by itself")
    assert bench.order("step") == "refused: not now, in IDLE: there are steps after a start"
    assert bench.order("start") == "accepted"
    eventually(lambda: bench.state() == State.STARTING)
    assert bench.order("step") == "accepted"
    assert bench.order("stop") == "accepted"
    eventually(lambda: bench.state() == State.STOPPED)
    assert bench.order("start") == "refused: not in STOPPED: from there lead reset, abort"
    bench.to_idle()


@pytest.mark.parametrize(
    ("words", "limit"),
    [
        (("set_speed_override", "1.5"), "value = 1.5: outside 0.01 to 1;"),
        (("set_tension_trim", "-2"), "value = -2 N: outside -0.3 to 0.3 N;"),
        (
            ("set_offset_trim", "0.002", "--index", "1"),
            "value = 0.002 m: outside -0.001 to 0.001 m;",
        ),
        (("set_offset_trim", "0.1", "--index", "3"), "index = 3: outside 0 to 2;"),
        (("set_tension_trim", "0.1", "--station", "2"), "station 2: the machine has 1"),
        (("set_mode", "4"), "value = 4: outside 1 to 3;"),
        (("jog", "9", "--axis", "table_x"), "value = 9: outside -0.2 to 0.2;"),
        (("jog_step", "1", "--axis", "table_x"), "table_x stands at"),
    ],
)
def test_what_is_out_of_bounds_is_refused_with_place_value_limit_and_remedy(
    bench: Bench, words: tuple[str, ...], limit: str
) -> None:
    assert bench.order("set_mode", "3") == "accepted"
    refused = bench.order(*words)
    assert refused.startswith("refused: station ")
    assert limit in refused


def test_a_setting_is_told_with_its_value_and_who_asked(bench: Bench) -> None:
    after, _ = bench.view.drain_events(0)
    trims = {"set_speed_override": 0.5, "set_tension_trim": -0.2, "set_offset_trim": 1e-4}
    for name, value in trims.items():
        assert bench.order(name, str(value)) == "accepted"
    told: list[Any] = []

    def all_told() -> bool:
        told[:] = list(bench.view.drain_events(after)[1])
        return sum(event["kind"] == EventKind.COMMAND for event in told) >= len(trims)

    eventually(all_told)
    changed = [event for event in told if event["kind"] == EventKind.SETTING_CHANGED]
    values = {CommandCode(int(e["code"])).name.lower(): float(e["value"]) for e in changed}
    assert values == trims
    asked = {int(e["index"]) for e in told if e["kind"] == EventKind.COMMAND}
    assert asked == {ProcessId.ENGINEER}
    for name in trims:
        assert bench.order(name, "1" if "speed" in name else "0") == "accepted"


def test_the_tables_mode_is_measured_on_the_running_machine(bench: Bench) -> None:
    bench.to_idle()
    for _ in range(ATTEMPTS):
        measured = bench.identify()
        if measured.returncode == 0:
            break
        assert "not identified" in measured.stderr
        bench.to_idle()
    mode = json.loads(measured.stdout)
    assert mode["frequency_hz"] == pytest.approx(45.0, rel=0.03)
    machine: Any = bench.view.read_machine()
    assert (machine["state"], machine["mode"]) == (State.IDLE, Mode.MANUAL)
