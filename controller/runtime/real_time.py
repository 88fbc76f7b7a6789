"""Real time: the loop on a thread of its own, and what the operating system granted it, read back."""

import ctypes
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.runtime.clock import wait_real
from controller.runtime.loop import LoopCode
from controller.runtime.virtual import call_loop

CYCLES_WITHOUT_END = 2**62
LEAD_NS = 20_000_000  # the first deadline lies this far ahead
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4
_PR_SET_TIMERSLACK, _PR_GET_TIMERSLACK = 29, 30
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Grant:
    """One request to the operating system: what was asked, what is so now, and why not."""

    what: str
    granted: bool
    text: str

    def __str__(self) -> str:
        return f"{self.what}: {self.text}"


@dataclass(frozen=True)
class RealTimeReport:
    """What the loop's thread runs with."""

    grants: tuple[Grant, ...]

    @property
    def tier(self) -> str:
        """`real time` where everything was granted, `partly real time`, or `best effort`."""
        granted = sum(grant.granted for grant in self.grants)
        if granted == len(self.grants):
            return "real time"
        return "partly real time" if granted else "best effort"

    def lines(self) -> list[str]:
        """Return the tier and each grant, one a line."""
        return [f"tier: {self.tier}", *(str(grant) for grant in self.grants)]


class RealTimeHost:
    """Runs a machine's loop on a thread other than the main one, so that signals reach Python."""

    def __init__(self, machine: Any, cpu: int, priority: int, lock_memory: bool) -> None:
        self._machine = machine
        self._asked = cpu, priority, lock_memory
        self._thread = threading.Thread(target=self._run, name="loop", daemon=True)
        self._set_up = threading.Event()
        self.report = RealTimeReport(())
        self.code: LoopCode | None = None
        self.error: BaseException | None = None

    def start(self) -> RealTimeReport:
        """Start the loop and return what its thread was granted."""
        self._thread.start()
        self._set_up.wait()
        return self.report

    def join(self, timeout_s: float) -> bool:
        """Wait for the loop's end; tell whether it came."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def reason(self) -> str:
        """Why the loop ended, in words."""
        return repr(self.error) if self.code is None else self.code.name.lower()

    def _run(self) -> None:
        cpu, priority, lock_memory = self._asked
        self.report = set_up_thread(cpu, priority, lock_memory)
        period_ns = self._machine.period_ns
        first_ns = time.monotonic_ns() + LEAD_NS
        self._machine.loop[0]["deadline_ns"] = first_ns - first_ns % period_ns
        self._set_up.set()
        try:
            self.code = call_loop(self._machine, wait_real, CYCLES_WITHOUT_END)
        except BaseException as error:
            self.error = error


def set_up_thread(cpu: int, priority: int, lock_memory: bool) -> RealTimeReport:
    """Ask for a processor, a real-time priority and locked memory for the calling thread."""
    grants = [pin(cpu), slack()]
    if priority:
        grants.append(schedule(priority))
    if lock_memory:
        grants.append(lock())
    return RealTimeReport(tuple(grants))


def pin(cpu: int) -> Grant:
    """Bind the calling thread to one processor."""
    what = f"processor {cpu}"
    try:
        os.sched_setaffinity(0, {cpu})
    except OSError as error:
        return Grant(what, False, f"refused ({error.strerror}); choose one of {_processors()}")
    granted = os.sched_getaffinity(0) == {cpu}
    return Grant(what, granted, "the loop's" if granted else f"not so: {_processors()}")


def schedule(priority: int) -> Grant:
    """Run the calling thread under SCHED_FIFO."""
    what = f"SCHED_FIFO {priority}"
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    except OSError as error:
        return Grant(what, False, f"refused ({error.strerror}); grant rtprio or CAP_SYS_NICE")
    now = os.sched_getscheduler(0), os.sched_getparam(0).sched_priority
    granted = now == (os.SCHED_FIFO, priority)
    return Grant(what, granted, "granted" if granted else f"not so: policy {now[0]}, {now[1]}")


def slack() -> Grant:
    """Ask for wake-ups without timer slack."""
    _libc.prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)
    now = _libc.prctl(_PR_GET_TIMERSLACK, 0, 0, 0, 0)
    return Grant("timer slack 1 ns", now <= 1, "granted" if now <= 1 else f"not so: {now} ns")


def lock() -> Grant:
    """Lock the process in memory: what the dry cycle touched now, the rest as it is touched.

    Locking what is never touched would take the compiler's libraries along: 490 MB instead of 190.
    """
    what = "memory locked"
    if _libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT):
        reason = os.strerror(ctypes.get_errno())
        return Grant(what, False, f"refused ({reason}); grant memlock or CAP_IPC_LOCK")
    locked_mb = memory_mb("VmLck")
    text = f"as touched, {memory_mb('VmRSS'):.0f} MB so far" if locked_mb else "not so: 0 MB"
    return Grant(what, locked_mb > 0, text)


def memory_mb(field: str) -> float:
    """Return a size out of /proc/self/status, such as VmRSS or VmLck, in megabytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    return 0.0


def _processors() -> str:
    return f"0 to {(os.cpu_count() or 1) - 1}"
