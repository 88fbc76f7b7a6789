"""`foldline run` on virtual hardware: cells stacked over frames and Modbus, in the best tier there is.

The tier is this account's: a namespace as root, a user namespace, or slaves in memory; the run says which.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from controller.child import EXIT_REFUSED
from drivers.ethercat.namespace import Tier, find_namespaces

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "config"
RUN = "import sys; sys.argv[0] = 'foldline'; from controller.cli import main; main()"
RUN_S_MAX = 500.0  # a cold compilation on a busy machine


def stack(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Stack a small cell with a run in a folder of its own; its bus is patient with a busy machine."""
    (folder / "bus.yaml").write_text(
        "interface: virtual\nstations: 1\n"
        "reply_timeout_ns: 900000\nmisses_tolerated: 20\nmisses_stop: 90\n"
    )
    (folder / "machine.yaml").write_text(
        f"extends: {CONFIG / 'machine_ethercat.yaml'}\nethercat: bus.yaml\n"
        "real_time: {core_cpu: 0, priority: 80, lock_memory: false}\n"
        "overruns_in_a_row_max: 1000\nopcua: {port: 0}\n"
    )
    (folder / "recipe.yaml").write_text(
        f"extends: {CONFIG / 'recipes' / 'reference.yaml'}\ncathodes: 2\n"
    )
    files = ["--config", folder / "machine.yaml", "--recipe", folder / "recipe.yaml"]
    return subprocess.run(
        [sys.executable, "-c", RUN, "run", *files, "--plant", CONFIG / "plant.yaml", "--json", *arguments],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True, text=True, check=False, timeout=RUN_S_MAX,
    )  # fmt: skip


def left(folder: Path) -> list[str]:
    """Processes that outlived the run of a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = entry.read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if str(folder) in text:
            found.append(text)
    return found


def test_a_cell_is_stacked_over_the_wire_and_modbus(tmp_path: Path) -> None:
    tier = find_namespaces().tier
    done = stack(tmp_path, "--cells", "1", "--seconds", "120")
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"virtual hardware: {tier.value}" in done.stderr
    result = json.loads(done.stdout)
    assert result["figures"]["cells_unloaded"] == 1, done.stdout + done.stderr[-3000:]
    if tier is not Tier.SOCKETLESS:
        assert "fold0: 31 slaves in SAFEOP" in done.stderr
        assert "127.0.0.1:5020: station 0 SHEET_CAMERA_ANODE" in done.stderr
        bus = result["bus"]
        assert bus["cycles"] > 5000
        assert (bus["frames_malformed"], bus["working_counter_errors"]) == (0, 0)
    assert left(tmp_path) == []


def test_without_namespaces_the_bus_runs_in_memory_and_says_what_is_lacking(tmp_path: Path) -> None:
    done = stack(tmp_path, "--cells", "1", "--seconds", "120", PATH=str(tmp_path))
    assert done.returncode == 0, done.stderr[-3000:]
    assert "virtual hardware: ip is not installed (package iproute2)" in done.stderr
    assert f"virtual hardware: {Tier.SOCKETLESS.value}" in done.stderr
    figures = json.loads(done.stdout)["figures"]
    assert (figures["cells_unloaded"], figures["violations"]) == (1, {}), done.stderr[-3000:]


def test_a_broken_bus_file_is_refused_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "bus.yaml").write_text("interface: virtual\nstations: 1\nmisses_stop: 0\n")
    (tmp_path / "machine.yaml").write_text(
        f"extends: {CONFIG / 'machine_ethercat.yaml'}\nethercat: bus.yaml\n"
    )
    command = [sys.executable, "-c", RUN, "check", "--config", str(tmp_path / "machine.yaml")]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == EXIT_REFUSED
    assert "bus.yaml: misses_stop = 0: expected a whole number from 1 to 1000" in done.stderr


IN_THERE = (
    "from hal_sim.ethercat.virtual_wire import make_veth\n"
    "make_veth('there0', 'there1'); print('made', flush=True); input()"
)


def test_a_process_joins_the_namespace_of_another() -> None:
    tier = find_namespaces().tier
    if tier is Tier.SOCKETLESS:
        pytest.skip(tier.value)
    command = [*tier.enter_new, sys.executable, "-c", IN_THERE]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as other:
        assert other.stdout is not None and other.stdin is not None
        assert other.stdout.readline() == "made\n"
        look = [*tier.enter(other.pid), "ip", "-oneline", "link", "show", "there0"]
        seen = subprocess.run(look, capture_output=True, text=True, check=False)
        other.stdin.write("\n")
        other.stdin.flush()
    assert "there0@there1" in seen.stdout, seen.stderr
