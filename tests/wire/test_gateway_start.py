"""A gateway that cannot start says why in one line, and what to do."""

import os
import socket
import subprocess
import sys
from pathlib import Path

from controller.shared.view import create_memory

ROOT = Path(__file__).resolve().parents[2]


def started(folder: Path, port: int, state: Path) -> subprocess.CompletedProcess[str]:
    """Start a gateway as the supervisor does and wait for its end."""
    config = folder / "machine.yaml"
    config.write_text(f"extends: {ROOT / 'config/machine.yaml'}\nopcua: {{port: {port}}}\n")
    memory_fd = create_memory(1, 1_000_000)
    command = [sys.executable, "-m", "controller.gateway.process", "--memory-fd", str(memory_fd)]
    try:
        return subprocess.run(
            [*command, "--config", str(config), "--state-dir", str(state)],
            cwd=ROOT, pass_fds=[memory_fd], capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
    finally:
        os.close(memory_fd)


def test_a_port_that_another_program_has_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = int(other.getsockname()[1])
        done = started(tmp_path, port, tmp_path / "state")
    assert done.returncode == 1
    first_password, refusal = done.stderr.splitlines()
    assert "first start" in first_password
    assert refusal.startswith("gateway: ")
    assert f"('127.0.0.1', {port}): address already in use" in refusal
    assert refusal.endswith("end the program that listens there, or set another opcua.port")


def test_a_folder_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = started(tmp_path, 0, tmp_path / "file/state")
    assert done.returncode == 1
    (refusal,) = done.stderr.splitlines()
    assert refusal.startswith("gateway: ")
    assert str(tmp_path / "file") in refusal
