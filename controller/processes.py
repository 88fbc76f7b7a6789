"""Child processes as the supervisor sees them: started, watched, restarted, ended by their id."""

import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field

from controller.child import EXIT_REFUSED

BACK_OFF_S_MIN = 0.1
BACK_OFF_S_MAX = 5.0
SOUND_AFTER_S = 10.0  # a child that lived this long is restarted at once again


@dataclass
class Child:
    """One child process; `restart` says whether its death is the supervisor's to mend."""

    name: str
    arguments: list[str]
    fds: tuple[int, ...]
    restart: bool = True
    prefix: tuple[str, ...] = ()  # what starts the command elsewhere, such as in a namespace
    deaths: int = 0
    refused: bool = False  # it found that the machine cannot start, and has said why
    process: subprocess.Popen[bytes] | None = None
    _started_s: float = 0.0
    _next_start_s: float = 0.0
    _back_off_s: float = field(default=BACK_OFF_S_MIN)

    def start(self) -> None:
        """Start the child in a session of its own, so that Ctrl-C reaches the supervisor alone."""
        command = [*self.prefix, sys.executable, "-m", *self.arguments]
        self.process = subprocess.Popen(command, pass_fds=self.fds, start_new_session=True)
        self._started_s = time.monotonic()

    @property
    def running(self) -> bool:
        """Tell whether the child lives."""
        return self.process is not None and self.process.poll() is None

    def watch(self) -> str | None:
        """Reap and restart the child as needed; return what there is to say of it, if anything."""
        now = time.monotonic()
        if self.process is None:
            if self.restart and self.deaths and not self.refused and now >= self._next_start_s:
                self.start()
            return None
        status = self.process.poll()
        if status is None:
            return None
        self.process = None
        self.deaths += 1
        if status == EXIT_REFUSED:
            self.refused = True
            return None
        return f"{self.name} {_ending(status)}" + (self._plan_restart(now) if self.restart else "")

    def _plan_restart(self, now: float) -> str:
        if now - self._started_s > SOUND_AFTER_S:
            self._back_off_s = BACK_OFF_S_MIN
        self._next_start_s = now + self._back_off_s
        text = f", restarted in {self._back_off_s:g} s"
        self._back_off_s = min(2.0 * self._back_off_s, BACK_OFF_S_MAX)
        return text

    def ask_to_end(self) -> None:
        """Send SIGTERM."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    def end(self, timeout_s: float) -> bool:
        """Wait for the child's end and kill it after that; tell whether it ended by itself."""
        if self.process is None:
            return True
        try:
            self.process.wait(timeout_s)
            return True
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return False
        finally:
            self.process = None


def _ending(status: int) -> str:
    if status < 0:
        return f"was killed by {signal.Signals(-status).name}"
    return f"ended with status {status}"
