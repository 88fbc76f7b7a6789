"""Rings seen from numpy: events and cell records of the core, and a sender's command lane."""

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from controller.shared.commands import COMMAND_DTYPE, COMMAND_SLOT_COUNT, CommandCode, CommandResult
from controller.shared.layout import PROCESS_COUNT, ProcessId
from controller.shared.snapshot import HEAD_WORDS, seal, try_read_sealed, weights


def drain(ring: Any, after: int) -> tuple[int, NDArray[np.void], int]:
    """Return (newest sequence, payloads, lost) of a ring of small payloads, oldest first.

    Slots that were overwritten, or are being so, count as lost.
    """
    slots = ring["slots"]
    newest = int(ring["newest"])
    after = min(after, newest)
    first = max(after, newest - len(slots)) + 1
    sequences = np.arange(first, newest + 1, dtype=np.uint64)
    copies = slots[(sequences % np.uint64(len(slots))).astype(np.int64)]
    whole = _whole(copies, sequences)
    return newest, copies["payload"][whole], newest - after - int(whole.sum())


def _whole(copies: NDArray[np.void], sequences: NDArray[np.uint64]) -> NDArray[np.bool_]:
    words = copies.view(np.uint64).reshape(len(copies), copies.itemsize // 8)[:, HEAD_WORDS:]
    sums = (words * weights(words.shape[1])).sum(axis=1, dtype=np.uint64) + sequences
    xors = np.bitwise_xor.reduce(words, axis=1) ^ sequences
    matches = (copies["sum"] == sums) & (copies["xor"] == xors)
    return np.asarray(matches & (copies["sequence"] == sequences))


def read_records(ring: Any, after: int) -> list[np.void]:
    """Return the cell records whose counter is above `after` and that are whole, oldest first."""
    slots = ring["slots"]
    newest = int(ring["newest"])
    first = max(after, newest - len(slots)) + 1
    found = [try_read_sealed(slots, c % len(slots), c) for c in range(first, newest + 1)]
    return [record for record in found if record is not None]


class CommandLane:
    """One sender's lane of 64 command slots.

    A sender that starts anew goes on after the newest whole command its forerunner left.
    """

    def __init__(self, lane: Any, process: ProcessId) -> None:
        self._lane = lane
        self._process = process
        self._number = max(int(lane["taken"]), *(self._whole_number(s) for s in lane["slots"]), 0)

    def _whole_number(self, slot: Any) -> int:
        copy = slot.copy()
        number, lane = divmod(int(copy["sequence"]), PROCESS_COUNT)
        whole = int(copy["check"]) == command_check(copy) and lane == self._process
        return number if whole else 0

    def send(self, code: CommandCode, station: int, index: int, value: float, source: int) -> int:
        """Put a command into the lane and return its sequence; RuntimeError when it is full."""
        number = self._number + 1
        if number - int(self._lane["taken"]) > COMMAND_SLOT_COUNT:
            raise RuntimeError(f"commands: {COMMAND_SLOT_COUNT} are waiting; the core takes none")
        command = np.zeros((), COMMAND_DTYPE)
        command["sequence"] = sequence = number * PROCESS_COUNT + self._process
        command["code"], command["station"], command["index"] = code, station, index
        command["value"], command["source"] = value, source
        command["issued_ns"] = time.monotonic_ns()
        command["check"] = command_check(command)
        self._lane["slots"][number % COMMAND_SLOT_COUNT] = command
        self._number = number
        return sequence

    def answer(self, sequence: int) -> CommandResult | None:
        """Return the core's answer to a command of this lane, None while it has none."""
        number = sequence // PROCESS_COUNT
        word = int(self._lane["answers"][number % COMMAND_SLOT_COUNT])
        return CommandResult(word & 0xFF) if word >> 8 == number else None


def command_check(command: Any) -> int:
    """Return the check word of a command: its seal's sum over all words but the check itself."""
    return seal(int(command["sequence"]), np.frombuffer(command.tobytes(), np.uint64)[:-1])[0]
