"""The compile gate: compiled code is ready and fits before the machine may run.

numba's own cache does not see edited callees, imported constants or its own settings, and tells apart
trees by their place, so the folder is keyed by all of them, and everything is compiled there once, under
a lock, in a process of its own.
This module sets numba's environment and so must run before numba is imported.
"""

import fcntl
import hashlib
import importlib
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COMPILED_SOURCES = (
    "motion",
    "drivers",
    "hal_sim",
    "controller/shared",
    "controller/station",
    "controller/runtime",
    "controller/planning",
    "bench/baseline",
)
DISTRIBUTIONS = ("numba", "llvmlite", "numpy")
FOLDERS_KEPT = 6
MARKER = "complete"
SIMULATOR = "simulator"  # the part of the code that most need: the core on the simulator
COMPILING = "compiling "  # how the warm-up names a function on its standard output

Progress = Callable[[int, str], None]


@dataclass(frozen=True)
class CacheFolder:
    """Where this build's compiled code lies."""

    path: Path
    writable: bool
    part: str = SIMULATOR

    @property
    def marker(self) -> Path:
        """What says that this part is complete."""
        return self.path / f"{MARKER}-{self.part}"

    @property
    def warm(self) -> bool:
        """Tell whether everything this part needs was compiled here before."""
        return self.marker.exists()


def enter(part: str = SIMULATOR) -> CacheFolder:
    """Point numba at this build's cache folder; RuntimeError when numba is already imported.

    `part` names what this process will have compiled: its backend.

    Children inherit the setting, and come to the same folder when they enter themselves.
    """
    if "numba" in sys.modules:
        raise RuntimeError("compile gate: numba is already imported; enter the gate first")
    os.environ["NUMBA_DISABLE_INTEL_SVML"] = "1"
    path = _base() / cache_key()
    writable = _make_writable(path)
    if writable:
        os.environ["NUMBA_CACHE_DIR"] = str(path)
        _forget_old(path.parent)
    return CacheFolder(path, writable, part)


def _base() -> Path:
    own = os.environ.get("FOLDLINE_CACHE")
    return Path(own) if own else Path("~/.cache/foldline/numba").expanduser()


def _make_writable(path: Path) -> bool:
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError:
        return False
    return True


def cache_key() -> str:
    """Return the key of this build: sources and their place, versions, processor, numba's settings."""
    digest = hashlib.sha256()
    for line in _identity():
        digest.update(line.encode() + b"\n")
    for source in _sources():
        digest.update(str(source.relative_to(ROOT)).encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()[:24]


def _identity() -> Iterator[str]:
    binding = importlib.import_module("llvmlite.binding")
    yield str(ROOT)
    yield platform.python_version()
    yield from (importlib.metadata.version(name) for name in DISTRIBUTIONS)
    yield binding.get_host_cpu_name()
    yield binding.get_host_cpu_features().flatten()
    settings = sorted(key for key in os.environ if key.startswith("NUMBA_"))
    yield from (f"{key}={os.environ[key]}" for key in settings if key != "NUMBA_CACHE_DIR")


def _sources() -> list[Path]:
    return sorted(path for folder in COMPILED_SOURCES for path in (ROOT / folder).rglob("*.py"))


def warm_up(folder: CacheFolder, command: list[str], progress: Progress | None = None) -> None:
    """Fill the folder by a command that compiles everything needed, unless that was done before.

    Another process that does the same is waited for. `progress` takes the number of functions so far
    and the name of the one being compiled. RuntimeError when the compilation fails.
    """
    if folder.warm or not folder.writable:
        return
    with _locked(folder.path / "lock"):
        if not folder.warm:
            _compile(command, progress)
            folder.marker.touch()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _compile(command: list[str], progress: Progress | None) -> None:
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            _follow(process.stdout, progress)
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise RuntimeError(f"compile gate: the compilation failed, status {process.returncode}")


def _follow(lines: Iterable[str], progress: Progress | None) -> None:
    named = (line for line in lines if line.startswith(COMPILING))
    for count, line in enumerate(named, 1):
        if progress is not None:
            progress(count, line.removeprefix(COMPILING).strip())


def _forget_old(base: Path) -> None:
    """Remove all but the folders entered last; entering leaves its time on the folder."""
    folders = [path for path in base.iterdir() if path.is_dir()]
    for path in sorted(folders, key=_changed_ns, reverse=True)[FOLDERS_KEPT:]:
        shutil.rmtree(path, ignore_errors=True)


def _changed_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:  # another process has just removed it
        return 0
