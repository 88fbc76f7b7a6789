"""Replay: a run's inputs, commands and plans as recorded bytes, and the scan run over them again.

A recording holds all that the scan saw and all that it answered. Replayed, every output must come
out bit for bit; the first that does not is named.
"""

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numba import from_dtype, njit, types
from numpy.typing import NDArray

from controller.runtime.atomics import address_of, load_word, store_word
from controller.runtime.loop import SCAN_SIGNATURE, LoopCode
from controller.runtime.loop_state import PLAN_LOG_SIZE
from controller.runtime.seal import WORD
from controller.runtime.trace import COMMAND_WORDS
from controller.runtime.virtual import CHUNK_CYCLES, run_virtual
from controller.shared.commands import COMMAND_DTYPE
from controller.shared.layout import layout_hash
from controller.shared.plan import PLAN_DTYPE
from controller.station.state import STATE_DTYPE
from drivers.image import IMAGE_DTYPE, OUTPUTS_DTYPE

_NONE = -1
_PLANS_TYPE: Any = types.Array(from_dtype(PLAN_DTYPE), 1, "C")
_REPLAY_SIGNATURE: Any = types.int64(
    types.FunctionType(SCAN_SIGNATURE),
    from_dtype(IMAGE_DTYPE),
    from_dtype(COMMAND_DTYPE),
    from_dtype(STATE_DTYPE),
    _PLANS_TYPE,
    types.Array(types.uint64, 2, "C"),
    types.int64,
    types.int64,
)


@njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
def _store(address, index, word):
    store_word(address + np.uint64(index) * WORD, word)


@njit(_REPLAY_SIGNATURE, cache=True, nogil=True, error_model="numpy", _nrt=False)
def replay_rows(scan, image, command, state, plans, rows, input_words, output_words):
    """Scan recorded cycles anew and return the first row whose outputs differ, -1 for none."""
    for row in range(rows.shape[0]):
        inputs, target = address_of(image.inputs), address_of(command)
        for i in range(input_words):
            _store(inputs, i, rows[row, i])
        for i in range(COMMAND_WORDS):
            _store(target, i, rows[row, input_words + i])
        scan(image.inputs, command, state, image.outputs, plans)
        outputs = address_of(image.outputs)
        for i in range(output_words):
            recorded = rows[row, input_words + COMMAND_WORDS + i]
            if load_word(outputs + np.uint64(i) * WORD) != recorded:
                return row
    return _NONE


@dataclass(frozen=True)
class PlanChange:
    """A plan slot that changed before the scan of `cycle`; None while it is being overwritten."""

    cycle: int
    slot: int
    plan: NDArray[np.void] | None


@dataclass(frozen=True)
class Recording:
    """A run from its first cycle on.

    rows: uint64 (cycles, words) of inputs, command and outputs; plans: the slots at the start.
    """

    station_count: int
    period_ns: int
    input_words: int
    output_words: int
    plans: NDArray[np.void]
    changes: tuple[PlanChange, ...]
    rows: NDArray[np.uint64]


@dataclass(frozen=True)
class Difference:
    """The first cycle whose outputs are not the recorded ones, and the fields that differ."""

    cycle: int
    fields: tuple[str, ...]


def record_virtual(machine: Any, cycles: int) -> Recording:
    """Run a fresh machine in virtual time and return the recording of all its cycles."""
    loop = machine.loop[0]
    if loop["cycle"] != 0:
        raise ValueError(f"recording: cycle = {int(loop['cycle'])}: must begin at 0")
    words = int(loop["input_words"]) + COMMAND_WORDS + int(loop["output_words"])
    plans, changes = machine.plans.copy(), []
    buffer = np.zeros((min(cycles, CHUNK_CYCLES), words), np.uint64)
    loop["trace_address"] = buffer.ctypes.data
    loop["trace_rows"], loop["trace_row_words"] = buffer.shape
    chunks, seen = [], 0
    code = LoopCode.CYCLES_DONE
    while (done := int(loop["cycle"])) < cycles and code == LoopCode.CYCLES_DONE:
        code = run_virtual(machine, min(len(buffer) - done % len(buffer), cycles - done))
        first = done % len(buffer)
        chunks.append(buffer[first : first + int(loop["cycle"]) - done].copy())
        changes += _plan_changes(machine, seen)
        seen = int(loop["plan_log_count"])
    loop["trace_rows"] = 0
    return Recording(
        machine.station_count,
        machine.period_ns,
        int(loop["input_words"]),
        int(loop["output_words"]),
        plans,
        tuple(changes),
        np.concatenate(chunks),
    )


def _plan_changes(machine: Any, seen: int) -> list[PlanChange]:
    loop = machine.loop[0]
    count = int(loop["plan_log_count"])
    entries = [loop["plan_log"][number % PLAN_LOG_SIZE] for number in range(seen, count)]
    whole = [int(entry["slot"]) for entry in entries if entry["whole"]]
    if len(entries) > PLAN_LOG_SIZE or len(set(whole)) < len(whole):
        raise ValueError(f"recording: {len(whole)} plans within {CHUNK_CYCLES} cycles: too many")
    return [_plan_change(machine, entry) for entry in entries]


def _plan_change(machine: Any, entry: Any) -> PlanChange:
    slot = int(entry["slot"])
    plan = machine.plans[slot : slot + 1].copy() if entry["whole"] else None
    return PlanChange(int(entry["cycle"]), slot, plan)


def replay(recording: Recording, scan: Any) -> Difference | None:
    """Run a scan over a recording from power-on and return the first difference, None for none."""
    image, state = np.zeros(1, IMAGE_DTYPE), np.zeros(1, STATE_DTYPE)
    command, plans = np.zeros(1, COMMAND_DTYPE), recording.plans.copy()
    edges = sorted({0, len(recording.rows), *(change.cycle for change in recording.changes)})
    for first, last in pairwise(edges):
        for change in recording.changes:
            if change.cycle == first:
                _apply(change, plans)
        differs = replay_rows(
            scan,
            image[0],
            command[0],
            state[0],
            plans,
            recording.rows[first:last],
            recording.input_words,
            recording.output_words,
        )
        if differs != _NONE:
            row = recording.rows[first + differs, -recording.output_words :]
            return Difference(first + differs, _differing(row, image["outputs"][0]))
    return None


def _apply(change: PlanChange, plans: NDArray[np.void]) -> None:
    if change.plan is None:
        plans[change.slot]["valid"] = 0
    else:
        plans[change.slot] = change.plan[0]


def _differing(recorded: NDArray[np.uint64], outputs: Any) -> tuple[str, ...]:
    """Return the names of the output fields whose bytes differ, such as stations[0].axes[3].mode."""
    expected = np.zeros(OUTPUTS_DTYPE.itemsize // 8, np.uint64)
    actual = np.frombuffer(outputs.tobytes(), np.uint64)
    expected[: len(recorded)] = recorded
    names = _leaves(OUTPUTS_DTYPE, 0, "")
    old, new = expected.tobytes(), actual.tobytes()
    return tuple(name for name, at, size in names if old[at : at + size] != new[at : at + size])


def _leaves(dtype: np.dtype, offset: int, name: str) -> list[tuple[str, int, int]]:
    if dtype.subdtype is not None:
        item, shape = dtype.subdtype
        indices = enumerate(np.ndindex(*shape))
        parts = [
            _leaves(item, offset + k * item.itemsize, f"{name}[{', '.join(map(str, index))}]")
            for k, index in indices
        ]
    elif dtype.fields is not None:
        parts = [
            _leaves(field[0], offset + field[1], f"{name}.{key}" if name else key)
            for key, field in dtype.fields.items()
        ]
    else:
        return [(name, offset, dtype.itemsize)]
    return [leaf for part in parts for leaf in part]


def save(recording: Recording, path: Path) -> None:
    """Write a recording to a file: one line of JSON, then its arrays' bytes."""
    header = {
        "layout": layout_hash().hex(),
        "station_count": recording.station_count,
        "period_ns": recording.period_ns,
        "input_words": recording.input_words,
        "output_words": recording.output_words,
        "cycles": len(recording.rows),
        "changes": [[c.cycle, c.slot, c.plan is not None] for c in recording.changes],
    }
    with path.open("wb") as file:
        file.write(json.dumps(header).encode() + b"\n")
        file.write(recording.plans.tobytes())
        for change in recording.changes:
            file.write(b"" if change.plan is None else change.plan.tobytes())
        file.write(recording.rows.tobytes())


def load(path: Path) -> Recording:
    """Read a recording; ValueError when it is of another build's layout."""
    with path.open("rb") as file:
        header = json.loads(file.readline())
        if header["layout"] != layout_hash().hex():
            raise ValueError(f"{path}: recorded by another build; replay it with that one")
        plans = _read(file, PLAN_DTYPE, 2 * header["station_count"])
        changes = [
            PlanChange(cycle, slot, _read(file, PLAN_DTYPE, 1) if whole else None)
            for cycle, slot, whole in header["changes"]
        ]
        words = header["input_words"] + COMMAND_WORDS + header["output_words"]
        rows = _read(file, np.dtype(np.uint64), header["cycles"] * words).reshape(-1, words)
    return Recording(
        header["station_count"],
        header["period_ns"],
        header["input_words"],
        header["output_words"],
        plans,
        tuple(changes),
        rows,
    )


def _read(file: BinaryIO, dtype: np.dtype, count: int) -> NDArray[Any]:
    data = file.read(count * dtype.itemsize)
    return np.frombuffer(data, dtype, count).copy()
