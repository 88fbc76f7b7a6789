"""What outlives a restart: read before the loop starts, written beside it whenever a cell has ended."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from controller.settings.machine import MachineSettings
from controller.shared.retained import MODES_DTYPE, RETAINED_DTYPE, machine_key
from controller.shared.slots import Slots
from controller.shared.view import SharedView

STATE_FOLDER = Path(".foldline")
Say = Callable[[str], None]


def learned_slots(folder: Path, settings: MachineSettings) -> Slots:
    """The slots of learned tables and counters, the core's."""
    return Slots(folder, "learned", RETAINED_DTYPE, _key(settings))


def mode_slots(folder: Path, settings: MachineSettings) -> Slots:
    """The slots of the tables' identified modes, the planner's."""
    return Slots(folder, "modes", MODES_DTYPE, _key(settings))


def _key(settings: MachineSettings) -> bytes:
    names = tuple(station.name for station in settings.stations)
    return machine_key(settings.name, names, settings.period_us)


def restore(slots: Slots, state: Any, say: Say) -> None:
    """Put what was kept into a STATE_DTYPE record whose loop has not yet started."""
    record, ignored = slots.load()
    for line in ignored:
        say(line)
    if record is None:
        return
    for index in range(len(state["stations"])):
        _restore_station(state["stations"][index], record[0]["stations"][index])


def _restore_station(station: Any, kept: Any) -> None:
    station["status"]["plan_identity"] = kept["plan_identity"]
    station["status"]["sheets_total"] = kept["sheets_total"]
    station["learned"] = kept["learned"]
    for polarity in range(2):
        station["feeders"][polarity]["bias_m"] = kept["bias_m"][polarity]
        station["feeders"][polarity]["bias_rad"] = kept["bias_rad"][polarity]


class Keeper:
    """Writes what the stations have learned, each time one of them has finished a cell."""

    def __init__(self, slots: Slots, view: SharedView, say: Say) -> None:
        self._slots, self._view, self._say = slots, view, say
        record, _ = slots.load()
        self._record = np.zeros(1, RETAINED_DTYPE) if record is None else record
        self._before = self._record["counters"].copy()
        self._record["counters"]["runs"] += 1
        self._written: dict[int, int] = {}
        self._failing = False

    def turn(self) -> None:
        """Write if there is something new; a disk that refuses is told once and tried again."""
        fresh = {}
        for index in range(self._view.station_count):
            newest = self._view.read_retained(index)
            if newest is not None and self._written.get(index) != newest[0]:
                self._record[0]["stations"][index] = newest[1]
                fresh[index] = newest[0]
        if fresh and self._write():
            self._written |= fresh

    def _write(self) -> bool:
        machine = self._view.read_machine()
        if machine is not None:
            for name in ("cells_good", "cells_rejected"):
                self._record["counters"][name] = self._before[name] + machine[name]
        try:
            self._slots.save(self._record)
        except OSError as error:
            if not self._failing:
                self._say(f"learned tables cannot be kept: {error}")
            self._failing = True
            return False
        self._failing = False
        return True
