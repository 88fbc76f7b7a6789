"""The operator at the panel: Clear, Reset and Start, so that a demonstration runs by itself."""

from typing import Any

from controller.shared.commands import CommandCode
from controller.shared.conditions import ConditionId
from controller.shared.packml import Mode, State
from controller.shared.view import SharedView

_NEXT = {
    State.ABORTED: CommandCode.CLEAR,
    State.STOPPED: CommandCode.RESET,
    State.IDLE: CommandCode.START,
}


class Operator:
    """Brings a fresh machine to Execute once, and says when the cells asked for are made.

    What it stops for later is a person's to judge: nothing is restarted.
    """

    def __init__(self, view: SharedView, cells: int | None, dry: bool = False) -> None:
        self._view = view
        self._cells = cells
        self._sent = 0
        self._first = [(CommandCode.SET_CELLS, float(cells or 0))]
        if dry:
            self._first.append((CommandCode.SET_MODE, float(Mode.MAINTENANCE)))
        self.started = False

    @property
    def done(self) -> bool:
        """Tell whether the machine has made its cells and come to Complete."""
        machine = self._view.read_machine()
        return (
            self._cells is not None and machine is not None and machine["state"] == State.COMPLETE
        )

    def turn(self) -> None:
        """Give the next command the machine can take, one at a time."""
        machine = self._view.read_machine()
        waiting = self._sent and self._view.answer(self._sent) is None
        if machine is None or waiting or self.started or _lacks_plan(machine):
            return
        if self._first:
            self._send(*self._first.pop(0))
            return
        state = State(int(machine["state"]))
        self.started = state in (State.STARTING, State.EXECUTE)
        command = _NEXT.get(state)
        if command is not None and not (command == CommandCode.START and machine["start_inhibits"]):
            self._send(command)

    def _send(self, code: CommandCode, value: float = 0.0) -> None:
        self._sent = self._view.send(code, value=value)


def _lacks_plan(machine: Any) -> bool:
    return bool(int(machine["start_inhibits"]) >> ConditionId.PLAN_VALID & 1)
