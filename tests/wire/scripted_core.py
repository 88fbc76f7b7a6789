"""A core without a machine: it publishes to the real shared memory and obeys the PackML table."""

import asyncio
import time
from typing import Any

import numpy as np

from controller.shared.alarms import AlarmId
from controller.shared.commands import COMMAND_SLOT_COUNT, CommandCode, CommandResult
from controller.shared.events import EVENT_DTYPE, EventKind
from controller.shared.layout import PROCESS_COUNT, CorePhase, ProcessId
from controller.shared.packml import Command, Mode, State, next_state
from controller.shared.records import CELL_RECORD_DTYPE, Verdict
from controller.shared.rings import command_check
from controller.shared.snapshot import write_next, write_sealed
from controller.shared.status import (
    MACHINE_STATUS_DTYPE,
    STATION_STATUS_DTYPE,
    STATISTICS_DTYPE,
)
from controller.shared.view import SharedView, create_memory, map_memory

AHEAD_NS = 3_600_000_000_000


class ScriptedCore:
    """Writes status, events and records as the core does, from numpy."""

    def __init__(self, station_count: int = 1) -> None:
        self.fd = create_memory(station_count, 1_000_000)
        self.memory = map_memory(self.fd)
        self.machine = np.zeros((), MACHINE_STATUS_DTYPE)
        self.stations = [np.zeros((), STATION_STATUS_DTYPE) for _ in range(station_count)]
        self.statistics = np.zeros((), STATISTICS_DTYPE)
        self.machine["state"], self.machine["mode"] = State.STOPPED, Mode.PRODUCTION
        self.machine["station_count"] = station_count
        self.machine["speed_override"] = 1.0
        for station in self.stations:
            station["conditions"] = 1
            station["next_plan_slot"] = -1
            station["axes"]["homed"] = 1
        self.acknowledged = 0
        self.commands: list[tuple[int, float]] = []
        self.alive = True
        self.memory["header"]["core_phase"] = CorePhase.RUNNING
        self.publish()

    def view(self, process: ProcessId = ProcessId.GATEWAY) -> SharedView:
        """Return the view of another process."""
        return SharedView.attach(self.fd, process)

    def publish(self) -> None:
        """Publish a snapshot and beat, if alive."""
        heartbeats = self.memory["header"]["heartbeats_ns"]
        if not self.alive:
            heartbeats[ProcessId.CORE] = 0
            return
        now = time.monotonic_ns()
        self.machine["time_ns"] = now
        self.machine["cycle"] += 1
        # It beats ahead: on a busy machine its loop is late, and only who says so is silent.
        heartbeats[ProcessId.CORE] = now + AHEAD_NS
        write_next(self.memory["machine"], self.machine)
        write_next(self.memory["statistics"], self.statistics)
        for index, station in enumerate(self.stations):
            write_next(self.memory["stations"][index]["status"], station)

    def set_state(self, state: State) -> None:
        """Enter a state and tell it as an event."""
        self.tell(EventKind.STATE_CHANGED, state, float(self.machine["state"]))
        self.machine["state"] = state
        self.machine["state_since_ns"] = time.monotonic_ns()

    def tell(self, kind: EventKind, code: int, value: float = 0.0, index: int = -1) -> None:
        """Put an event into the ring."""
        event = np.zeros((), EVENT_DTYPE)
        event["time_ns"], event["kind"], event["code"] = time.monotonic_ns(), kind, code
        event["value"], event["index"] = value, index
        _append(self.memory["events"], event)

    def raise_alarm(self, alarm: AlarmId, station: int = 0, axis: int = -1) -> None:
        """Raise an alarm in status and events."""
        status = self.stations[station]
        status["alarms"][alarm] = 1
        status["alarm_axis"][alarm] = axis
        status["alarm_since_ns"][alarm] = time.monotonic_ns()
        if not status["first_out"]:
            status["first_out"] = alarm
        self.tell(EventKind.ALARM_RAISED, alarm, index=axis)

    def clear_alarm(self, alarm: AlarmId, station: int = 0) -> None:
        """Take an alarm back."""
        self.stations[station]["alarms"][alarm] = 0
        self.tell(EventKind.ALARM_CLEARED, alarm)

    def finish_cell(self, verdict: Verdict = Verdict.GOOD, layers: int = 3) -> int:
        """Finish a cell and return its record's counter."""
        record = np.zeros((), CELL_RECORD_DTYPE)
        counter = int(self.memory["records"]["newest"]) + 1
        now = time.monotonic_ns()
        record["counter"], record["cell"], record["verdict"] = counter, counter, verdict
        record["layer_count"] = layers
        record["started_ns"], record["finished_ns"] = now - 2_000_000_000, now
        record["tension_min_n"], record["tension_mean_n"] = 2.9, 3.0
        record["tension_max_n"] = 3.1
        record["layers"]["overhang_m"][:layers] = 0.0015
        _append(self.memory["records"], record)
        self.machine["cells_done"] += 1
        self.machine["cells_good"] += verdict == Verdict.GOOD
        self.machine["cells_rejected"] += verdict != Verdict.GOOD
        return counter

    # -- commands -------------------------------------------------------------------------------

    def take_commands(self) -> None:
        """Take and answer every command that waits in any lane."""
        for index in range(PROCESS_COUNT):
            lane = self.memory["lanes"][index]
            while self._take(lane, index):
                pass

    def _take(self, lane: Any, index: int) -> bool:
        number = int(lane["taken"]) + 1
        command = lane["slots"][number % COMMAND_SLOT_COUNT].copy()
        if int(command["sequence"]) != number * PROCESS_COUNT + index:
            return False
        if int(command["check"]) != command_check(command):
            return False
        result = self.obey(int(command["code"]), float(command["value"]))
        if result == CommandResult.ACCEPTED:
            self._trim(command)
        lane["taken"] = number
        lane["answers"][number % COMMAND_SLOT_COUNT] = number << 8 | result
        return True

    def obey(self, code: int, value: float) -> CommandResult:
        """Do what a command asks, as the machine's table allows it."""
        self.commands.append((code, value))
        if code == CommandCode.ACKNOWLEDGE_RECORDS:
            self.acknowledged = max(self.acknowledged, int(value))
            return CommandResult.ACCEPTED
        if code == CommandCode.SET_SPEED_OVERRIDE:
            self.machine["speed_override"] = value
            return CommandResult.ACCEPTED
        if code == CommandCode.SET_MODE:
            self.machine["mode"] = int(value)
            return CommandResult.ACCEPTED
        if code == CommandCode.SET_CELLS:
            self.machine["cells_requested"] = int(value)
            return CommandResult.ACCEPTED
        if code > CommandCode.COMPLETE:
            return CommandResult.ACCEPTED
        return self._packml(Command(code))

    def _trim(self, command: Any) -> None:
        station, value = self.stations[int(command["station"])], float(command["value"])
        if command["code"] == CommandCode.SET_TENSION_TRIM:
            station["tension_trim_n"] = value
        elif command["code"] == CommandCode.SET_OFFSET_TRIM and command["index"] == 2:
            station["offset_trim_rad"] = value
        elif command["code"] == CommandCode.SET_OFFSET_TRIM:
            station["offset_trim_m"][int(command["index"])] = value

    def _packml(self, command: Command) -> CommandResult:
        state = State(int(self.machine["state"]))
        following = next_state(state, command)
        if following is None:
            return CommandResult.REFUSED_STATE
        if command == Command.START and self.machine["start_inhibits"]:
            return CommandResult.REFUSED_INHIBITED
        self.set_state(following)
        return CommandResult.ACCEPTED

    def settle(self) -> None:
        """Complete an acting state at once."""
        following = next_state(State(int(self.machine["state"])), Command.STATE_COMPLETE)
        if following is not None and self.machine["state"] != State.EXECUTE:
            self.set_state(following)

    async def run(self) -> None:
        """Live: take commands, settle and publish, until cancelled."""
        while True:
            self.turn()
            await asyncio.sleep(0.01)

    def turn(self) -> None:
        """One turn of `run`."""
        if self.alive:
            self.take_commands()
            self.settle()
        self.publish()


def _append(ring: Any, payload: Any) -> None:
    sequence = int(ring["newest"]) + 1
    write_sealed(ring["slots"], sequence % len(ring["slots"]), sequence, payload)
    ring["newest"] = sequence
