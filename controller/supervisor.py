"""The supervisor: owns the shared memory and the signals; starts, watches and ends the others.

It loads no numba and does nothing in real time: should it be slow, nobody waits for it.
"""

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from controller.child import EXIT_REFUSED
from controller.console import StatusLine
from controller.display import show_result
from controller.operator_panel import Operator
from controller.processes import Child
from controller.retention import STATE_FOLDER, Keeper, learned_slots
from controller.settings.loader import load_machine
from controller.shared.commands import CommandCode
from controller.shared.histogram import percentile_ns
from controller.shared.layout import CorePhase, ProcessId
from controller.shared.status import Phase
from controller.shared.view import SharedView, create_memory
from controller.virtual_hardware import virtual_hardware

TURN_S = 0.1
CORE_SILENCE_NS = 800_000_000
SHUT_DOWN_S_MAX = 20.0
CORE_TERM_S_MAX = 5.0
OTHERS_END_S_MAX = 5.0
EXIT_CORE_DIED = 1
HINT = "Ctrl-C stops the machine along its path and ends the run; foldline order, elsewhere, commands it"


class Supervisor:
    """One run of the machine: its memory, its processes and its end."""

    def __init__(
        self,
        config: Path,
        recipe: Path,
        plant: Path,
        seed: int,
        say: Callable[[str], None],
        dry: bool = False,
    ) -> None:
        settings = load_machine(config)
        self._core_cpu = settings.real_time.core_cpu
        self.memory_fd = create_memory(len(settings.stations), settings.period_us * 1000)
        self.result_fd = os.memfd_create("foldline-result")
        self.view = SharedView.attach(self.memory_fd, ProcessId.SUPERVISOR)
        self.say = say
        self._keeper = Keeper(learned_slots(STATE_FOLDER, settings), self.view, say)
        self.core_died = False
        self._silent = False
        self._ending = threading.Event()
        memory = ["--memory-fd", str(self.memory_fd), "--config", str(config)]
        core = ["--plant", str(plant), "--seed", str(seed), "--result-fd", str(self.result_fd)]
        fds = (self.memory_fd,)
        self.core = Child(
            "core", ["controller.core", *memory, *core], (*fds, self.result_fd), restart=False
        )
        plan = [*memory, "--recipe", str(recipe), "--slot", "0", *(["--dry"] if dry else [])]
        self.planner = Child("planner", ["controller.planning.process", *plan], fds, restart=False)
        gateway = ["controller.gateway.process", *memory, "--recipe", str(recipe)]
        self.gateway = Child("gateway", gateway, fds)
        self.io = Child("io", ["controller.io_process", *memory], fds)
        self.hardware = virtual_hardware(settings, config, plant, seed)

    def start(self) -> None:
        """Start gateway, hardware, core and io; the planner follows once compiled code is at hand.

        All of them keep off the loop's processor; the loop's thread binds itself to it.
        """
        others = os.sched_getaffinity(0) - {self._core_cpu}
        if others:
            os.sched_setaffinity(0, others)
        self.gateway.start()
        if self.hardware is not None:
            self.hardware.start(self.say)
        self._start_core()

    def _start_core(self) -> None:
        """Start core and io process, as soon as there is hardware."""
        hardware = self.hardware
        if self.core.process is not None or self.core.deaths or (hardware and not hardware.ready):
            return
        if hardware is not None:
            self.core.prefix = self.io.prefix = hardware.prefix
            self.core.arguments += hardware.core_arguments
            self.io.arguments += hardware.io_arguments
        self.core.start()
        self.io.start()

    @property
    def ending(self) -> bool:
        """Tell whether somebody asked for the end."""
        return self._ending.is_set()

    def ask_to_end(self, number: int = 0, frame: FrameType | None = None) -> None:
        """End in order at the next turn; fit to be a signal handler."""
        self._ending.set()

    def wait_turn(self) -> None:
        """Sleep one turn, or until somebody asks for the end."""
        self._ending.wait(TURN_S)

    def turn(self) -> None:
        """Beat, look after the children, and say what happened."""
        self.view.beat(time.monotonic_ns())
        self._start_core()
        if self.planner.process is None and not self.planner.deaths and self._gate_passed():
            self.planner.start()
        for child in (self.planner, self.gateway, self.io, *self._hardware_children()):
            self._tell(child.watch())
        self._watch_core()
        self._keeper.turn()
        if self.refused or self._hardware_never_came():
            self.ask_to_end()

    def _hardware_never_came(self) -> bool:
        """Virtual hardware that ended before the core could start: there is nothing to wait for."""
        ended = self.hardware is not None and self.hardware.child.deaths > 0
        lost = ended and self.core.process is None and not self.core.deaths
        self.core_died = self.core_died or lost
        return lost

    def _hardware_children(self) -> tuple[Child, ...]:
        return (self.hardware.child,) if self.hardware is not None else ()

    @property
    def refused(self) -> bool:
        """Tell whether the start was refused; whoever refused it has said why."""
        children = (self.core, self.io, *self._hardware_children())
        return any(child.refused for child in children)

    def _gate_passed(self) -> bool:
        return self.view.core_phase in (CorePhase.READY, CorePhase.RUNNING)

    def _tell(self, message: str | None) -> None:
        if message is not None and message != "planner ended with status 0":
            self.say(message)

    def _watch_core(self) -> None:
        message = self.core.watch()
        if message is not None:
            self.core_died = self.view.core_phase != CorePhase.ENDED
        if message is not None and self.core_died:
            if self.view.core_phase != CorePhase.RUNNING:
                self.ask_to_end()
            self.view.header["core_phase"] = CorePhase.DEAD
            self.say(f"{message}: the drives' watchdogs stop the axes; end this run to start anew")
        running = self.view.core_phase == CorePhase.RUNNING and self._core_has_beaten()
        silent = running and not self.view.core_alive(time.monotonic_ns(), CORE_SILENCE_NS)
        if silent and not self._silent:
            self.say("core is silent")
        self._silent = silent

    def _core_has_beaten(self) -> bool:
        return int(self.view.header["heartbeats_ns"][ProcessId.CORE]) > 0

    def end(self) -> dict[str, Any]:
        """Bring the machine to rest, end every process by its id and return the core's result."""
        if self.core.running and self.view.core_phase == CorePhase.RUNNING:
            self.view.send(CommandCode.SHUT_DOWN)
            self._wait_for_core(SHUT_DOWN_S_MAX)
        self.core.ask_to_end()
        if not self.core.end(CORE_TERM_S_MAX):
            self.say("core did not end and was killed")
        others = (self.planner, self.gateway, self.io, *self._hardware_children())
        for child in others:
            child.ask_to_end()
        for child in others:
            if not child.end(OTHERS_END_S_MAX):
                self.say(f"{child.name} did not end and was killed")
        self._keeper.turn()
        return self._result()

    def _wait_for_core(self, timeout_s: float) -> None:
        end_s = time.monotonic() + timeout_s
        while self.core.running and time.monotonic() < end_s:
            self.view.beat(time.monotonic_ns())
            time.sleep(TURN_S)

    def _result(self) -> dict[str, Any]:
        with os.fdopen(self.result_fd) as file:
            file.seek(0)
            text = file.read()
        result: dict[str, Any] = json.loads(text) if text else {}
        if self.hardware is not None:
            result |= self.hardware.figures()
        result["machine"] = _counts(self.view)
        os.close(self.memory_fd)
        return result


def _counts(view: SharedView) -> dict[str, Any]:
    machine, statistics = view.read_machine(), view.read_statistics()
    if machine is None or statistics is None:
        return {}
    late = statistics["histogram"][Phase.LATENESS]
    return {
        "cells_good": int(machine["cells_good"]),
        "cells_rejected": int(machine["cells_rejected"]),
        "cycles": int(statistics["cycles"]),
        "overruns": int(statistics["overruns"]),
        "lateness_p50_us": percentile_ns(late, 0.5) * 1e-3,
        "lateness_p99_us": percentile_ns(late, 0.99) * 1e-3,
        "lateness_max_us": int(statistics["max_ns"][Phase.LATENESS]) * 1e-3,
        "scan_p99_us": percentile_ns(statistics["histogram"][Phase.SCAN], 0.99) * 1e-3,
    }


def run(
    config: Path,
    recipe: Path,
    plant: Path,
    seconds: float | None = None,
    cells: int | None = None,
    manual: bool = False,
    seed: int = 1,
    as_json: bool = False,
    dry: bool = False,
) -> int:
    """Run the machine until a signal, `seconds` of its loop or `cells` cells; return the status.

    Without `manual` it is reset and started as an operator at the panel would, with `dry` without
    material. The result is printed as a table or as one JSON object.
    """
    with StatusLine() as line:
        supervisor = Supervisor(config, recipe, plant, seed, line.say, dry)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, supervisor.ask_to_end)
        try:
            supervisor.start()
            line.say(HINT)
            _watch(supervisor, line, Operator(supervisor.view, cells, dry), seconds, manual)
        finally:
            result = supervisor.end()
    show_result("Run", result, as_json)
    if supervisor.refused:
        return EXIT_REFUSED
    return EXIT_CORE_DIED if supervisor.core_died else 0


def _watch(
    supervisor: Supervisor,
    line: StatusLine,
    operator: Operator,
    seconds: float | None,
    manual: bool,
) -> None:
    end_s: float | None = None
    while not supervisor.ending:
        supervisor.turn()
        line.show(supervisor.view)
        if supervisor.view.core_phase == CorePhase.RUNNING:
            end_s = end_s or time.monotonic() + (seconds if seconds is not None else float("inf"))
            if not manual:
                operator.turn()
        over = end_s is not None and time.monotonic() >= end_s
        if over or operator.done or supervisor.view.core_phase == CorePhase.ENDED:
            return
        supervisor.wait_turn()
