"""A wire without hardware: a veth pair in a network namespace of the program's own."""

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from drivers.ethercat.namespace import find_tier

_CLONE_NEWNET = 0x40000000


def _call(name: str, *arguments: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, name)(*arguments) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")


def _ip(*arguments: str) -> None:
    result = subprocess.run(("ip", *arguments), capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise OSError(f"ip {' '.join(arguments)}: {result.stderr.strip()}")


@contextmanager
def own_namespace() -> Iterator[None]:
    """Put the calling thread, and threads it starts, into a fresh network namespace with loopback up."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        _call("unshare", _CLONE_NEWNET)
        _ip("link", "set", "lo", "up")
        yield
    finally:
        _call("setns", before, _CLONE_NEWNET)
        os.close(before)


def make_veth(master: str, slaves: str) -> None:
    """Make a pair of connected interfaces in the present namespace and bring both up."""
    _ip("link", "add", master, "type", "veth", "peer", "name", slaves)
    for name in (master, slaves):
        set_link(name, up=True)


def remove_link(name: str) -> None:
    """Remove an interface and its peer."""
    _ip("link", "delete", name)


def set_link(name: str, *, up: bool) -> None:
    """Bring an interface up or down."""
    _ip("link", "set", name, "up" if up else "down")


if __name__ == "__main__":
    print(f"EtherCAT wire tests: {find_tier().value}")
