"""Network namespaces: whether this account may have one, and how a program is started in it."""

import ctypes
import os
import shutil
import subprocess
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

_KINDS = {"user": 0x10000000, "net": 0x40000000}  # CLONE_NEWUSER, CLONE_NEWNET
_PROBE = ("ip", "link", "add", "probe0", "type", "veth", "peer", "name", "probe1")
_PACKAGES = {"ip": "iproute2", "unshare": "util-linux", "nsenter": "util-linux"}


class Tier(Enum):
    """What this account may do, best first."""

    ROOT = "veth pair in an own network namespace (root)"
    USER_NAMESPACE = "veth pair in an own user and network namespace"
    SOCKETLESS = "no sockets: lock-step in memory only"

    @property
    def enter_new(self) -> tuple[str, ...]:
        """Command prefix that starts a program in a namespace of its own."""
        user = () if self is Tier.ROOT else ("--user", "--map-root-user")
        return ("unshare", *user, "--net")

    def enter(self, pid: int) -> tuple[str, ...]:
        """Command prefix that starts a program in the namespace of another."""
        user = () if self is Tier.ROOT else ("--user", "--preserve-credentials")
        return ("nsenter", "--target", str(pid), *user, "--net")


@dataclass(frozen=True, slots=True)
class Namespaces:
    """The best tier that works here, and what better ones lack."""

    tier: Tier
    lacking: tuple[str, ...] = ()


def _try(prefix: tuple[str, ...]) -> str:
    """Return why a veth pair cannot be made in a namespace, nothing where it can."""
    try:
        done = subprocess.run(
            (*prefix, *_PROBE), capture_output=True, text=True, check=False, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{' '.join(prefix)}: {error}"
    lines = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
    return f"{' '.join(prefix)}: {lines[0]}" if done.returncode else ""


def find_namespaces() -> Namespaces:
    """Return the best tier that really works here, tried with the tools it needs."""
    missing = [tool for tool in _PACKAGES if not shutil.which(tool)]
    if missing:
        words = (f"{tool} is not installed (package {_PACKAGES[tool]})" for tool in missing)
        return Namespaces(Tier.SOCKETLESS, tuple(words))
    lacking: list[str] = []
    for tier in (Tier.ROOT, Tier.USER_NAMESPACE):
        if tier is Tier.ROOT and os.geteuid() != 0:
            continue
        problem = _try(tier.enter_new)
        if not problem:
            return Namespaces(tier, tuple(lacking))
        lacking.append(problem)
    return Namespaces(Tier.SOCKETLESS, tuple(lacking))


def find_tier() -> Tier:
    """Return the best tier alone."""
    return find_namespaces().tier


def join(pid: int) -> None:
    """Put the calling thread into the network namespace of a process; OSError where it may not."""
    library = ctypes.CDLL(None, use_errno=True)
    for kind, flag in _KINDS.items():
        there, here = Path(f"/proc/{pid}/ns/{kind}"), Path(f"/proc/self/ns/{kind}")
        if there.stat().st_ino == here.stat().st_ino:
            continue
        descriptor = os.open(there, os.O_RDONLY)
        try:
            if library.setns(descriptor, flag) != 0:
                error = ctypes.get_errno()
                raise OSError(error, f"{there}: {os.strerror(error)}")
        finally:
            os.close(descriptor)
