"""A child process's life: it ends with the supervisor, and only the supervisor hears Ctrl-C."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
NICENESS = -10
EXIT_REFUSED = 2  # the start is refused; what is lacking has been said


def follow_parent() -> None:
    """Be sent SIGTERM when the supervisor dies; leave SIGINT to it; end if it is gone already."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the supervisor ended while this process started")


def come_first() -> str | None:
    """Ask to run before the gateway's work; return what was refused, if anything."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
    except OSError as error:
        return f"niceness {NICENESS}: refused ({error.strerror}); answers may come late"
    return None


class StartRefused(Exception):
    """The machine cannot start: one message names what is lacking, and where."""
