"""A child process's life: it ends with the supervisor, and only the supervisor hears Ctrl-C."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def follow_parent() -> None:
    """Be sent SIGTERM when the supervisor dies; leave SIGINT to it; end if it is gone already."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the supervisor ended while this process started")
