"""A machine in virtual time: built from settings, commanded like the real one, judged by the simulator."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from controller.assembly import Machine, build_simulated, judge_figures, judged_cells, new_plans
from controller.planning.cycle_plan import CyclePlan, make_plan
from controller.runtime.loop import LoopCode
from controller.runtime.virtual import digest, run_virtual
from controller.settings.faults import FaultSettings
from controller.settings.machine import MachineSettings
from controller.settings.plant import PlantSettings
from controller.settings.recipe import RecipeSettings
from controller.shared.alarms import AlarmId
from controller.shared.commands import CommandCode, CommandResult
from controller.shared.layout import ProcessId
from controller.shared.packml import State
from controller.shared.records import Verdict
from controller.shared.view import SharedView

CHUNK_S = 0.5
SECONDS_A_CELL_MAX = 600.0
RESET_SECONDS_MAX = 120.0


class SimulationStuck(RuntimeError):
    """The machine did not come where it was sent: names where it stands and its first alarm."""


class Simulation:
    """One simulated machine in virtual time."""

    def __init__(
        self,
        machine: MachineSettings,
        plant: PlantSettings,
        recipe: RecipeSettings,
        seed: int,
        faults: Sequence[FaultSettings] = (),
        plan: CyclePlan | None = None,
        dry: bool = False,
    ) -> None:
        stations = range(len(machine.stations))
        self.plans = [plan or make_plan(machine, recipe, index, dry=dry) for index in stations]
        slots = new_plans(len(machine.stations))
        for index, made in enumerate(self.plans):
            slots[2 * index] = made.record[0]
        self.machine: Machine = build_simulated(machine, plant, slots, seed, faults)
        self.machine.loop[0]["digest_wanted"] = 1
        self.view = SharedView(self.machine.memory, ProcessId.SUPERVISOR)
        self.records: list[np.void] = []
        self.judged: dict[tuple[int, int], dict[str, Any]] = {}  # by station and cell

    @property
    def state(self) -> State:
        """PackML state."""
        return State(int(self.machine.state[0]["machine"]["state"]))

    @property
    def virtual_s(self) -> float:
        """Virtual time since the start."""
        return int(self.machine.loop[0]["cycle"]) * self.machine.period_ns * 1e-9

    def station(self, index: int = 0) -> Any:
        """The live state record of a station."""
        return self.machine.state[0]["stations"][index]

    def run(self, seconds: float) -> None:
        """Run on for a span of virtual time, storing the cells' records as they come."""
        cycles = max(1, round(seconds * 1e9 / self.machine.period_ns))
        code = run_virtual(self.machine, cycles)
        if code == LoopCode.EXCHANGE_FAILED:
            raise SimulationStuck(f"exchange failed at {self.virtual_s:.3f} s")
        self._store_records()

    def command(
        self, code: CommandCode, value: float = 0.0, station: int = 0, index: int = 0
    ) -> CommandResult:
        """Send a command, run until it is answered and return the answer."""
        sequence = self.view.send(code, station=station, index=index, value=value)
        for _ in range(20):
            self.run(self.machine.period_ns * 1e-9)
            answer = self.view.answer(sequence)
            if answer is not None:
                return answer
        raise SimulationStuck(f"{code.name}: not answered")

    def run_until(
        self, reached: Callable[[], bool], seconds_max: float, step_s: float = 0.01
    ) -> None:
        """Run until something is so; SimulationStuck when it is not in time."""
        end = self.virtual_s + seconds_max
        while not reached():
            if self.virtual_s >= end:
                raise SimulationStuck(f"after {seconds_max:g} s: {self.where()}")
            self.run(step_s)

    def save(self) -> list[Any]:
        """Keep the whole machine as it is now, for `restore`."""
        return [np.copy(part) for part in self._parts()] + [dict(self.judged), list(self.records)]

    def restore(self, kept: list[Any]) -> None:
        """Put the machine back as it was saved."""
        for part, saved in zip(self._parts(), kept, strict=False):
            part[...] = saved
        self.judged, self.records = dict(kept[-2]), list(kept[-1])
        self.view = SharedView(self.machine.memory, ProcessId.SUPERVISOR)

    def _parts(self) -> list[Any]:
        machine = self.machine
        return [machine.context, machine.image, machine.state, machine.loop, machine.memory]

    def reset(self) -> None:
        """Power up, home, clear and come to Idle."""
        self.command(CommandCode.RESET)
        self.run_until(lambda: self.state == State.IDLE, RESET_SECONDS_MAX)

    def where(self) -> str:
        """Where the machine stands, in words."""
        places = []
        for index in range(self.machine.station_count):
            status = self.station(index)["status"]
            raised = np.flatnonzero(status["alarms"])
            alarms = [f"{AlarmId(int(i)).name} axis {int(status['alarm_axis'][i])}" for i in raised]
            places.append(
                f"station {index}: sequence {int(status['sequence'])}, routine "
                f"{int(status['routine'])} step {int(status['step'])}, sheet {int(status['sheet'])}, "
                f"gate {int(status['gate_condition'])}, alarms {alarms}"
            )
        return f"{self.state.name} at {self.virtual_s:.3f} s; " + "; ".join(places)

    def _store_records(self) -> None:
        after = int(self.records[-1]["counter"]) if self.records else 0
        fresh = self.view.read_records(after)
        if fresh:
            self.records += fresh
            self.view.send(CommandCode.ACKNOWLEDGE_RECORDS, value=float(int(fresh[-1]["counter"])))
            self.judge()

    def judge(self) -> None:
        """Take over what the judge says of the cells unloaded so far; it keeps only the last ones."""
        cells = judged_cells(self.machine)
        self.judged |= {(cell["station"], cell["cell"]): cell for cell in cells}


def simulate(
    machine: MachineSettings,
    plant: PlantSettings,
    recipe: RecipeSettings,
    cells: int,
    seed: int,
    faults: Sequence[FaultSettings] = (),
    progress: Callable[[float], None] | None = None,
) -> dict[str, Any]:
    """Make `cells` cells in virtual time; returns the judge's summary as plain JSON values.

    A machine that holds or stops by itself is cleared and started again, as an operator would.
    """
    return stack_cells(Simulation(machine, plant, recipe, seed, faults), cells, progress)


def stack_cells(
    simulation: Simulation, cells: int, progress: Callable[[float], None] | None = None
) -> dict[str, Any]:
    """Make `cells` cells on a machine from power-on; the summary as `simulate` gives it."""
    started = time.perf_counter()
    simulation.reset()
    simulation.command(CommandCode.SET_CELLS, value=float(cells))
    simulation.command(CommandCode.START)
    limit = simulation.virtual_s + SECONDS_A_CELL_MAX * cells
    while simulation.state != State.COMPLETE:
        if simulation.virtual_s > limit:
            raise SimulationStuck(simulation.where())
        simulation.run(CHUNK_S)
        operate(simulation)
        if progress is not None:
            progress(len(simulation.records) / cells)
    return _summary(simulation, time.perf_counter() - started)


_OPERATOR = {
    State.HELD: CommandCode.UNHOLD,
    State.ABORTED: CommandCode.CLEAR,
    State.STOPPED: CommandCode.RESET,
    State.IDLE: CommandCode.START,
}


def operate(simulation: Simulation) -> None:
    """What an operator does after a stop: remove the cause, then go on."""
    command = _OPERATOR.get(simulation.state)
    if command is not None:
        simulation.command(command)


def verdicts(records: Sequence[np.void], judged: Sequence[dict[str, Any]]) -> dict[str, int]:
    """The controller's verdicts beside the truth: good cells rejected, and bad ones let through.

    A cell is the one whose record was begun last before its first sheet was laid.
    """
    counts = {"false_rejects": 0, "escapes": 0}
    for cell in judged:
        begun = [r for r in records if int(r["station"]) == cell["station"]]
        begun = [r for r in begun if int(r["started_ns"]) * 1e-9 <= cell["first_s"]]
        if not begun:
            continue
        passed = int(max(begun, key=lambda r: int(r["started_ns"]))["verdict"]) == Verdict.GOOD
        if passed != cell["good"]:
            counts["escapes" if passed else "false_rejects"] += 1
    return counts


def _summary(simulation: Simulation, wall_s: float) -> dict[str, Any]:
    records = simulation.records
    good = sum(int(record["verdict"]) == Verdict.GOOD for record in records)
    simulation.judge()
    figures = judge_figures(simulation.machine)
    recoveries: dict[str, int] = {}
    for index in range(simulation.machine.station_count):
        counts = simulation.station(index)["status"]["recoveries"]
        for alarm in np.flatnonzero(counts):
            name = AlarmId(int(alarm)).name.lower()
            recoveries[name] = recoveries.get(name, 0) + int(counts[alarm])
    head = {
        "cells": len(records),
        "good_cells": good,
        "rejected_cells": len(records) - good,
        **verdicts(records, list(simulation.judged.values())),
    }
    tail = {
        "bound_s_per_sheet": simulation.plans[0].bound.seconds,
        "planned_s_per_sheet": simulation.plans[0].times.period_s,
        "recoveries": recoveries,
        "virtual_s": simulation.virtual_s,
        "wall_s": wall_s,
        "realtime_ratio": simulation.virtual_s / wall_s,
        "digest": digest(simulation.machine),
    }
    return {**head, **figures, **tail}
