"""The command line as a person meets it: in a process of its own, with its exit status."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MACHINE = (ROOT / "config/machine.yaml").read_text()
TABLE_VELOCITY = "        velocity_max_m_s: 2.0\n"
SCREEN_LINES = 24


def foldline(*arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    program = "import sys; sys.argv[0] = 'foldline'; from controller.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=folder, env={**os.environ, "COLUMNS": "400"},  # no cell of a table is wrapped
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


def test_check_prints_what_it_read() -> None:
    result = foldline("check")
    assert result.returncode == 0, result.stderr
    for told in ("Foldline reference stacker", "period_us 1000", "table_x", "reference 100 x 300"):
        assert told in result.stdout


def test_the_shipped_files_are_found_from_anywhere(tmp_path: Path) -> None:
    assert foldline("check", folder=tmp_path).returncode == 0


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("missing key", MACHINE.replace(TABLE_VELOCITY, "", 1), r"velocity_max_m_s: missing"),
        (
            "wrong unit",
            MACHINE.replace("velocity_max_m_s: 2.0", "velocity_max_mm_s: 2000", 1),
            r"table_x\.velocity_max_mm_s: unknown key; did you mean velocity_max_m_s\?",
        ),
        (
            "above the motor's",
            MACHINE.replace("velocity_max_m_s: 2.0", "velocity_max_m_s: 12", 1),
            r"table_x\.velocity_max_m_s = 12: above the drive's 3\.2 \(motor rating\); lower it",
        ),
        ("unknown key", MACHINE + "colour: blue\n", r"colour: unknown key; remove it"),
        (
            "text for a number",
            MACHINE.replace("period_us: 1000", "period_us: fast"),
            r"period_us = 'fast': expected a whole number",
        ),
        ("empty", "", r"empty: expected a mapping"),
        ("huge", "name: x\n" * 1_000_000, r"larger than 256 kB"),
    ],
)
def test_a_broken_machine_file_is_one_screen_and_status_2(
    tmp_path: Path, name: str, text: str, said: str
) -> None:
    path = tmp_path / "machine.yaml"
    path.write_text(text)
    result = foldline("check", "--config", str(path))
    assert result.returncode == 2
    assert result.stdout == ""
    assert re.search(rf"{re.escape(str(path))}:.*{said}", result.stderr), result.stderr
    assert len(result.stderr.splitlines()) <= SCREEN_LINES
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("command", ["plan", "run", "sim"])
def test_no_command_starts_with_a_broken_file(tmp_path: Path, command: str) -> None:
    path = tmp_path / "machine.yaml"
    path.write_text(MACHINE.replace(TABLE_VELOCITY, "", 1))
    result = foldline(command, "--config", str(path))
    assert result.returncode == 2
    assert result.stdout == ""
    assert "velocity_max_m_s: missing; add it" in result.stderr


def test_a_thousand_errors_are_still_one_screen(tmp_path: Path) -> None:
    path = tmp_path / "machine.yaml"
    path.write_text("\n".join(f"key_{i}: 1" for i in range(1000)))
    result = foldline("check", "--config", str(path))
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) <= SCREEN_LINES


def test_errors_of_all_files_are_told_together(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text("")
    (tmp_path / "r.yaml").write_text("- 1")
    result = foldline(
        "check", "--config", f"{tmp_path}/m.yaml", "--recipe", f"{tmp_path}/r.yaml",
        "--plant", f"{tmp_path}/none.yaml",
    )  # fmt: skip
    assert result.returncode == 2
    for name in ("m.yaml", "r.yaml", "none.yaml"):
        assert name in result.stderr


def test_a_scenario_that_is_not_there_is_told_with_its_neighbour() -> None:
    result = foldline("sim", "--faults", "pick_mised")
    assert result.returncode == 2
    assert "faults = pick_mised: neither a file nor a scenario of" in result.stderr
    assert "did you mean pick_missed?" in result.stderr


@pytest.mark.parametrize("arguments", [("sim", "--cells", "0"), ("sim", "--seed", "x"), ("fly",)])
def test_a_wrong_argument_is_refused(arguments: tuple[str, ...]) -> None:
    result = foldline(*arguments)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "command", ["check", "run", "sim-bus", "sim", "plan", "users", "trust", "bus"]
)
def test_every_command_has_its_help(command: str) -> None:
    result = foldline(command, "--help")
    assert result.returncode == 0, result.stderr
    assert f"foldline {command}" in result.stdout
