"""Commands to the core as method calls: sent, and answered with what the machine decided."""

import asyncio
import time

from asyncua import ua

from controller.gateway.opcua.registry import Refused
from controller.shared.commands import CommandCode, CommandResult
from controller.shared.refusal import Asked, refusal
from controller.shared.view import SharedView

ANSWER_S_MAX = 1.0
ANSWER_POLL_S = 0.004
Status = ua.StatusCodes

# What a client is told for each answer of the core.
STATUS_OF: dict[CommandResult, int] = {
    CommandResult.REFUSED_STATE: Status.BadInvalidState,
    CommandResult.REFUSED_INHIBITED: Status.BadRequestNotAllowed,
    CommandResult.REFUSED_VALUE: Status.BadOutOfRange,
    CommandResult.REFUSED_MODE: Status.BadInvalidState,
    CommandResult.REFUSED_INTERLOCK: Status.BadRequestNotAllowed,
    CommandResult.UNKNOWN: Status.BadNotSupported,
    CommandResult.NONE: Status.BadUnexpectedError,
}


class Commands:
    """Sends commands; the machine decides."""

    def __init__(self, view: SharedView) -> None:
        self.view = view

    async def send(
        self, code: CommandCode, station: int = 0, index: int = 0, value: float = 0.0
    ) -> None:
        """Send a command and wait for its answer; Refused carries the exact status code."""
        if not self.view.core_alive(time.monotonic_ns()):
            raise Refused(Status.BadNoCommunication, "the core is silent")
        try:
            sequence = self.view.send(code, station, index, value)
        except RuntimeError as error:
            raise Refused(Status.BadResourceUnavailable, str(error)) from error
        answer = await self._answer(sequence)
        if answer != CommandResult.ACCEPTED:
            await self._younger_snapshot()
            reason = refusal(self.view, Asked(code, station, index, value), answer)
            raise Refused(STATUS_OF[answer], f"{code.name}: {reason}")

    async def _younger_snapshot(self) -> None:
        """Wait for what the machine says of its answer: an older snapshot names another reason."""
        before, end_s = self._cycle(), time.monotonic() + ANSWER_S_MAX
        while self._cycle() == before and time.monotonic() < end_s:
            await asyncio.sleep(ANSWER_POLL_S)

    def _cycle(self) -> int:
        machine = self.view.read_machine()
        return -1 if machine is None else int(machine["cycle"])

    async def _answer(self, sequence: int) -> CommandResult:
        end_s = time.monotonic() + ANSWER_S_MAX
        while (answer := self.view.answer(sequence)) is None:
            if time.monotonic() >= end_s:
                raise Refused(Status.BadTimeout, "the core did not answer")
            await asyncio.sleep(ANSWER_POLL_S)
        return answer
