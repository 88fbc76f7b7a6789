"""Find the machine that runs on this computer and sign in to its shared memory as its engineer."""

import os
from pathlib import Path

from controller.shared.layout import ProcessId
from controller.shared.view import SharedView, map_memory

MEMORY = "/memfd:foldline (deleted)"


class NoMachine(RuntimeError):
    """No machine to talk to, or more than one: says which and what to do."""


def attach(pid: int | None = None) -> SharedView:
    """Return a view of the running machine; `pid` names its supervisor where there are several."""
    found = _memories() if pid is None else _memories_of(pid)
    if not found:
        raise NoMachine("no machine of this user is running; start `foldline run`")
    if len(found) > 1:
        pids = ", ".join(str(each) for each in sorted(found))
        raise NoMachine(f"several machines are running: choose one with --pid ({pids})")
    descriptor = os.open(next(iter(found.values())), os.O_RDWR)
    try:
        memory = map_memory(descriptor)
    finally:
        os.close(descriptor)
    return SharedView(memory, ProcessId.ENGINEER)


def _memories() -> dict[int, Path]:
    """Supervisors' memories by process: of all that have one open, those the header names."""
    found: dict[int, Path] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            found |= _memories_of(int(folder.name))
    return found


def _memories_of(pid: int) -> dict[int, Path]:
    try:
        links = list(Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return {}
    for link in links:
        try:
            named = str(link.readlink()) == MEMORY
        except OSError:
            continue
        if named and _is_supervisor(link, pid):
            return {pid: link}
    return {}


def _is_supervisor(link: Path, pid: int) -> bool:
    descriptor = os.open(link, os.O_RDWR)
    try:
        header = map_memory(descriptor)["header"]
        return int(header["pids"][ProcessId.SUPERVISOR]) == pid
    finally:
        os.close(descriptor)
