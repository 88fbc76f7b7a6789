"""Virtual time: the same loop, its wait replaced by one that advances the clock."""

from collections.abc import Callable
from typing import Any

from controller.runtime.clock import wait_virtual
from controller.runtime.loop import LoopCode, run

CHUNK_CYCLES = 1000


def run_virtual(
    machine: Any, cycles: int, progress: Callable[[int], None] | None = None
) -> LoopCode:
    """Run a machine for this many cycles of virtual time and return why it ended.

    `progress` is called with the cycles done after each chunk.
    """
    done = 0
    code = LoopCode.CYCLES_DONE
    while done < cycles and code == LoopCode.CYCLES_DONE:
        chunk = min(CHUNK_CYCLES, cycles - done)
        code = call_loop(machine, wait_virtual, chunk)
        done += chunk
        if progress is not None:
            progress(done)
    return code


def call_loop(machine: Any, wait: Any, cycles: int) -> LoopCode:
    """Call the compiled loop on a machine's records."""
    code = run(
        wait,
        machine.exchange,
        machine.scan,
        machine.image[0],
        machine.context,
        machine.state[0],
        machine.plans,
        machine.memory.reshape(1)[0],
        machine.loop[0],
        cycles,
    )
    return LoopCode(code)


def digest(machine: Any) -> str:
    """Return the digest over inputs and outputs so far, 64 hexadecimal digits."""
    return "".join(f"{int(lane):016x}" for lane in machine.loop[0]["digest"])
