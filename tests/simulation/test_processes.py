"""The processes of a real run: started, killed, restarted and ended in order; nothing is left behind."""

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from controller.shared.layout import MAGIC, CorePhase, ProcessId
from controller.shared.packml import State
from controller.shared.view import SharedView, map_memory

ROOT = Path(__file__).resolve().parents[2]
WAIT_S_MAX = 300.0  # a cold compilation on a busy machine
LOOK_S = 0.02
RUN = "import sys; sys.argv[0] = 'foldline'; from controller.cli import main; main()"


class Run:
    """One `foldline run` and a look into its memory and its children."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        config = folder / "machine.yaml"
        config.write_text(
            f"extends: {ROOT / 'config' / 'machine.yaml'}\n"
            "real_time: {core_cpu: 0, priority: 0, lock_memory: false}\n"
            f"opcua: {{port: {_free_port()}}}\n"
        )
        self.errors = folder / "errors"
        settings = ["--config", str(config), "--plant", str(ROOT / "config" / "plant.yaml")]
        settings += ["--recipe", str(ROOT / "config" / "recipes" / "reference.yaml")]
        with self.errors.open("w") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-c", RUN, "run", *settings, *arguments],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self.children: set[int] = set()

    def said(self) -> str:
        """What the run has said to the person at the terminal so far."""
        return self.errors.read_text()

    def wait_for(self, reached: Callable[[], bool]) -> None:
        """Wait until something is so; fail when the run ends before."""
        end_s = time.monotonic() + WAIT_S_MAX
        while not reached():
            self.children |= _children(self.process.pid)
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < end_s, self.said()
            select.select([], [], [], LOOK_S)

    def view(self) -> SharedView:
        """Map the run's shared memory, which only its own processes can name."""
        self.wait_for(lambda: _memory(self.process.pid) is not None)
        fd = os.open(str(_memory(self.process.pid)), os.O_RDWR)
        memory = map_memory(fd)
        os.close(fd)
        self.wait_for(lambda: int(memory["header"]["magic"]) == MAGIC)
        return SharedView(memory, ProcessId.IO)

    def end(self) -> int:
        """Wait for the end and return the exit status."""
        self.process.communicate(timeout=WAIT_S_MAX)
        return self.process.returncode

    def left(self) -> set[int]:
        """Children that outlived the run."""
        return {pid for pid in self.children if _is_ours(pid)}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _memory(pid: int) -> Path | None:
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            if entry.readlink().name.startswith("memfd:foldline ("):
                return entry
        except FileNotFoundError:
            continue
    return None


def _children(pid: int) -> set[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return set()
    own = {int(child) for child in text.split()}
    return own.union(*(_children(child) for child in own))


def _is_ours(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
        return b"controller" in Path(f"/proc/{pid}/cmdline").read_bytes() and ") Z" not in status
    except (FileNotFoundError, ProcessLookupError):
        return False


@contextmanager
def _run(folder: Path, *arguments: str, **environment: str) -> Iterator[Run]:
    run = Run(folder, *arguments, **environment)
    try:
        yield run
    finally:
        if run.process.poll() is None:
            run.process.send_signal(signal.SIGTERM)
            run.process.communicate(timeout=WAIT_S_MAX)


def _cycle(view: SharedView) -> int:
    machine = view.read_machine()
    return -1 if machine is None else int(machine["cycle"])


def _state(view: SharedView) -> int:
    machine = view.read_machine()
    return 0 if machine is None else int(machine["state"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_a_signal_ends_a_stacking_machine_in_order(tmp_path: Path, number: int) -> None:
    with _run(tmp_path) as run:
        view = run.view()
        run.wait_for(lambda: _state(view) == State.EXECUTE)
        run.process.send_signal(number)
        assert run.end() == 0, run.said()
    assert len(run.children) >= 4
    assert run.left() == set()
    assert view.core_phase == CorePhase.ENDED
    assert _state(view) in (State.STOPPED, State.STOPPING)


def test_a_killed_gateway_comes_back_while_the_core_goes_on(tmp_path: Path) -> None:
    with _run(tmp_path, "--manual") as run:
        view = run.view()
        pids = view.header["pids"]
        run.wait_for(lambda: view.core_phase == CorePhase.RUNNING and pids[ProcessId.GATEWAY] > 0)
        core, gateway, cycle = int(pids[ProcessId.CORE]), int(pids[ProcessId.GATEWAY]), _cycle(view)
        os.kill(gateway, signal.SIGKILL)
        run.wait_for(lambda: int(pids[ProcessId.GATEWAY]) not in (0, gateway))
        run.wait_for(lambda: _cycle(view) > cycle + 100)
        assert int(pids[ProcessId.CORE]) == core
        assert "gateway was killed by SIGKILL, restarted" in run.said()
        run.process.send_signal(signal.SIGTERM)
        assert run.end() == 0, run.said()
    assert run.left() == set()


def test_the_death_of_the_core_is_said_and_shown(tmp_path: Path) -> None:
    with _run(tmp_path, "--manual") as run:
        view = run.view()
        run.wait_for(lambda: view.core_phase == CorePhase.RUNNING)
        run.wait_for(lambda: view.core_alive(time.monotonic_ns()))
        os.kill(int(view.header["pids"][ProcessId.CORE]), signal.SIGKILL)
        run.wait_for(lambda: view.core_phase == CorePhase.DEAD)
        assert not view.core_alive(time.monotonic_ns() + 200_000_000)
        run.wait_for(lambda: "core was killed by SIGKILL" in run.said())
        run.process.send_signal(signal.SIGTERM)
        assert run.end() == 1
    assert run.left() == set()


def test_ctrl_c_while_compiling_leaves_nothing(tmp_path: Path) -> None:
    with _run(tmp_path, FOLDLINE_CACHE=str(tmp_path / "cache")) as run:
        view = run.view()
        run.wait_for(lambda: view.core_phase == CorePhase.COMPILING)
        run.wait_for(lambda: any((tmp_path / "cache").rglob("*.nbi")))
        run.process.send_signal(signal.SIGINT)
        assert run.end() in (0, 1)
    assert run.left() == set()
    assert not any((tmp_path / "cache").rglob("complete-*"))


def test_a_run_ends_after_its_seconds(tmp_path: Path) -> None:
    with _run(tmp_path, "--seconds", "1", "--manual") as run:
        view = run.view()
        assert run.end() == 0, run.said()
    assert view.core_phase == CorePhase.ENDED
    assert _cycle(view) > 100
    assert "tier: " in run.said()
