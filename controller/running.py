"""A look from outside at a machine that runs: its shared memory, found through its processes."""

import mmap
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from controller.shared.layout import (
    HEADER_DTYPE,
    MEMORY_DTYPE,
    CorePhase,
    ProcessId,
    layout_hash,
)
from controller.shared.view import SharedView

_LINK = "/memfd:foldline (deleted)"


def find_running() -> SharedView | None:
    """Return the memory of a machine that this user runs here, read-only; None without one."""
    for path in memories():
        try:
            view = SharedView(_map_read_only(path))
        except (OSError, ValueError):
            continue  # it has just ended, or is of another build
        if view.core_phase == CorePhase.RUNNING:
            return view
    return None


def supervised() -> dict[int, tuple[Path, bool]]:
    """Return by supervisor the memory it holds, and whether that is of this build."""
    found = {}
    for path in memories():
        owner = int(path.parts[2])
        try:
            header = _map_read_only(path, HEADER_DTYPE)
        except (OSError, ValueError):
            continue
        if int(header["pids"][ProcessId.SUPERVISOR]) == owner:
            found[owner] = path, header["layout"].tobytes() == layout_hash()
    return found


def memories() -> Iterator[Path]:
    """Yield every descriptor of such a memory that this user may look at."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            descriptors = list((process / "fd").iterdir())
        except OSError:
            continue
        yield from (fd for fd in descriptors if _is_memory(fd))


def _is_memory(descriptor: Path) -> bool:
    """Tell what a descriptor is; one that was closed since it was listed is none."""
    try:
        return str(descriptor.readlink()) == _LINK
    except OSError:
        return False


def _map_read_only(path: Path, dtype: np.dtype = MEMORY_DTYPE) -> np.ndarray:
    fd = os.open(path, os.O_RDONLY)
    try:
        memory = mmap.mmap(fd, dtype.itemsize, access=mmap.ACCESS_READ)
    finally:
        os.close(fd)
    return np.frombuffer(memory, dtype).reshape(())
