"""Find the machine that runs on this computer and sign in to its shared memory as its engineer."""

import os

from controller.running import supervised
from controller.shared.layout import ProcessId
from controller.shared.view import SharedView, map_memory


class NoMachine(RuntimeError):
    """No machine to talk to, or more than one: says which and what to do."""


def attach(pid: int | None = None) -> SharedView:
    """Return a view of the running machine; `pid` names its supervisor where there are several."""
    found = {owner: held for owner, held in supervised().items() if pid in (None, owner)}
    ours = {owner: path for owner, (path, of_this_build) in found.items() if of_this_build}
    pids = ", ".join(str(each) for each in sorted(ours or found))
    if not found:
        raise NoMachine("no machine of this user is running; start `foldline run`")
    if not ours:
        raise NoMachine(f"what runs is of another build ({pids}): use that build's commands")
    if len(ours) > 1:
        raise NoMachine(f"several machines are running: choose one with --pid ({pids})")
    descriptor = os.open(next(iter(ours.values())), os.O_RDWR)
    try:
        return SharedView(map_memory(descriptor), ProcessId.ENGINEER)
    finally:
        os.close(descriptor)
