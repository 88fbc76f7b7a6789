"""The compile gate: its key, its lock, and what it does where nothing can be kept."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from controller.runtime import compile_gate
from controller.runtime.compile_gate import CacheFolder, cache_key, warm_up


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A source tree of one file, which the gate takes for the project's."""
    (tmp_path / "tree" / "motion").mkdir(parents=True)
    source = tmp_path / "tree" / "motion" / "cam.py"
    source.write_text("PITCH = 1\n")
    monkeypatch.setattr(compile_gate, "ROOT", tmp_path / "tree")
    return source


@pytest.fixture
def folder(tmp_path: Path) -> CacheFolder:
    """An empty cache folder."""
    path = tmp_path / "base" / "key"
    path.mkdir(parents=True)
    return CacheFolder(path, writable=True)


def _command(text: str) -> list[str]:
    return [sys.executable, "-c", text]


def _enter(base: Path, code: str = "") -> subprocess.CompletedProcess[str]:
    script = (
        f"{code}\nfrom controller.runtime.compile_gate import enter\n"
        "import os, sys\nfolder = enter()\n"
        "print(folder.writable, 'numba' in sys.modules, os.environ.get('NUMBA_CACHE_DIR'),"
        " os.environ['NUMBA_DISABLE_INTEL_SVML'])"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_")}
    environment["FOLDLINE_CACHE"] = str(base)
    command = _command(script)
    return subprocess.run(command, check=False, capture_output=True, text=True, env=environment)


def test_an_edited_constant_in_another_file_changes_the_key(sources: Path) -> None:
    before = cache_key()
    assert cache_key() == before
    sources.write_text("PITCH = 2\n")
    assert cache_key() != before


def test_a_moved_file_changes_the_key(sources: Path) -> None:
    before = cache_key()
    sources.rename(sources.with_name("gear.py"))
    assert cache_key() != before


def test_another_place_changes_the_key(sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = cache_key()
    moved = compile_gate.ROOT.rename(compile_gate.ROOT.with_name("moved"))
    monkeypatch.setattr(compile_gate, "ROOT", moved)
    assert cache_key() != before


def test_numbas_settings_change_the_key(sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NUMBA_BOUNDSCHECK", raising=False)
    before = cache_key()
    monkeypatch.setenv("NUMBA_BOUNDSCHECK", "1")
    assert cache_key() != before
    monkeypatch.delenv("NUMBA_BOUNDSCHECK")
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/elsewhere")
    assert cache_key() == before


def test_the_processor_and_the_versions_change_the_key(
    sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {cache_key()}
    for identity in (["a", "b"], ["a", "c"], ["a", "b", "avx512f"]):
        monkeypatch.setattr(compile_gate, "_identity", lambda lines=identity: iter(lines))
        keys.add(cache_key())
    assert len(keys) == 4


def test_this_test_run_went_through_the_gate() -> None:
    assert Path(os.environ["NUMBA_CACHE_DIR"]).name == cache_key()


def test_every_package_with_compiled_code_is_in_the_key() -> None:
    root = compile_gate.ROOT
    compiled = {
        path.relative_to(root)
        for package in ("controller", "drivers", "hal_sim", "motion")
        for path in (root / package).rglob("*.py")
        if "njit" in path.read_text()
    }
    assert len(compiled) > 20
    keyed = {path.relative_to(root) for path in compile_gate._sources()}
    assert not compiled - keyed


def test_the_gate_sets_the_environment_before_numba_is_there(tmp_path: Path) -> None:
    done = _enter(tmp_path)
    assert done.returncode == 0, done.stderr
    writable, imported, path, svml = done.stdout.split()
    assert (writable, imported, svml) == ("True", "False", "1")
    assert Path(path).parent == tmp_path


def test_the_gate_refuses_to_come_too_late(tmp_path: Path) -> None:
    done = _enter(tmp_path, "import numba")
    assert done.returncode == 1
    assert "numba is already imported" in done.stderr


def test_an_unwritable_folder_is_told_and_not_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = _enter(tmp_path / "file" / "below")
    assert done.stdout.split()[:3] == ["False", "False", "None"]


def test_warming_up_runs_the_command_once_and_marks_last(folder: CacheFolder) -> None:
    told: list[tuple[int, str]] = []
    log = folder.path / "runs"
    text = f"open({str(log)!r}, 'a').write('run\\n'); print('compiling scan'); print('noise')"
    assert not folder.warm
    for _ in range(2):
        warm_up(folder, _command(text), lambda count, name: told.append((count, name)))
    assert folder.warm
    assert log.read_text() == "run\n"
    assert told == [(1, "scan")]


def test_a_failed_compilation_leaves_no_marker(folder: CacheFolder) -> None:
    with pytest.raises(RuntimeError, match="status 3"):
        warm_up(folder, _command("import sys; sys.exit(3)"))
    assert not folder.warm


def test_who_comes_second_waits_and_finds_the_work_done(folder: CacheFolder) -> None:
    log = folder.path / "runs"
    text = f"open({str(log)!r}, 'a').write('run\\n')"
    threads = [threading.Thread(target=warm_up, args=(folder, _command(text))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert log.read_text() == "run\n"


def test_only_the_folders_entered_last_are_kept(tmp_path: Path) -> None:
    for number in range(10):
        folder = tmp_path / f"old{number}"
        folder.mkdir()
        os.utime(folder, (number, number))
    assert _enter(tmp_path).returncode == 0
    kept = {path.name for path in tmp_path.iterdir()}
    assert len(kept) == compile_gate.FOLDERS_KEPT
    assert kept > {f"old{number}" for number in range(5, 10)}
