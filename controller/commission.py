"""Commissioning over the shared memory: ask the machine to move its empty table and record what it does."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from controller.shared.commands import CommandCode, CommandResult
from controller.shared.packml import Mode, State
from controller.shared.plan import RoutineId
from controller.shared.status import SequenceState
from controller.shared.view import SharedView
from drivers.image import AxisId

Wait = Callable[[float], None]
LOOK_S = 0.05
ANSWER_S_MAX = 2.0
MEASURE_S_MAX = 60.0


class NotCommissioned(RuntimeError):
    """The machine refused or did not do what it was asked: says what and why."""


class Commissioner:
    """One engineer at a machine, live or in virtual time; `wait` lets time pass."""

    def __init__(self, view: SharedView, wait: Wait = time.sleep) -> None:
        self._view, self._wait = view, wait
        self._after, _, _ = view.drain_scope(0)
        self._samples: list[NDArray[np.void]] = []

    def order(
        self, code: CommandCode, station: int = 0, index: int = 0, value: float = 0.0
    ) -> None:
        """Give a command; NotCommissioned unless the machine accepts it."""
        result = self.ask(code, station, index, value)
        if result != CommandResult.ACCEPTED:
            raise NotCommissioned(f"{code.name}: {result.name.lower()} in {self._state().name}")

    def ask(
        self, code: CommandCode, station: int = 0, index: int = 0, value: float = 0.0
    ) -> CommandResult:
        """Give a command and return the machine's answer."""
        sequence = self._view.send(code, station, index, value)
        self._until(lambda: self._view.answer(sequence) is not None, ANSWER_S_MAX, "an answer")
        answer = self._view.answer(sequence)
        assert answer is not None
        return answer

    def measure(self, station: int) -> NDArray[np.void]:
        """Let the empty table of a station swing and return its SCOPE_DTYPE samples, one a cycle.

        The machine must be idle; its mode is put back afterwards.
        """
        self._wait(LOOK_S)  # the snapshot is a little older than the machine
        mode = float(self._machine()["mode"])
        if self._state() != State.IDLE:
            raise NotCommissioned(
                f"the machine is in {self._state().name}: bring it to IDLE (Reset)"
            )
        self.order(CommandCode.SET_MODE, value=float(Mode.MANUAL))
        try:
            self.order(CommandCode.SCOPE, station, AxisId.TABLE_X)
            self.order(CommandCode.IDENTIFY, station)
            self._record(station)
        finally:
            self.ask(CommandCode.SCOPE, station, -1)
            self.ask(CommandCode.SET_MODE, value=mode)
        return np.concatenate(self._samples)

    def _record(self, station: int) -> None:
        self._until(lambda: self._measuring(station), ANSWER_S_MAX, "the table's moves")
        self._until(lambda: self._over(station), MEASURE_S_MAX, "the end of the moves")
        if self._state() != State.IDLE:
            raise NotCommissioned(f"interrupted: the machine went to {self._state().name}")

    def _until(self, reached: Callable[[], bool], seconds_max: float, what: str) -> None:
        for _ in range(int(seconds_max / LOOK_S)):
            if reached():
                return
            self._wait(LOOK_S)
            self._drain()
        raise NotCommissioned(f"{what} did not come within {seconds_max:g} s")

    def _drain(self) -> None:
        self._after, samples, lost = self._view.drain_scope(self._after)
        if lost and self._samples:
            raise NotCommissioned(f"{lost} samples were lost: this computer is too busy; try again")
        self._samples.append(samples)

    def _measuring(self, station: int) -> bool:
        status = self._view.read_station(station)
        return status is not None and _is_measuring(status)

    def _over(self, station: int) -> bool:
        return not self._measuring(station) or self._state() != State.IDLE

    def _machine(self) -> Any:
        machine = self._view.read_machine()
        if machine is None:
            raise NotCommissioned("the core has not said a word yet")
        return machine

    def _state(self) -> State:
        return State(int(self._machine()["state"]))


def _is_measuring(status: Any) -> bool:
    in_routine = int(status["routine"]) == RoutineId.IDENTIFY
    return in_routine and int(status["sequence"]) == SequenceState.ROUTINE
