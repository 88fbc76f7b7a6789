"""Identified modes on their way into a plan: kept on disk, taken at the next planning."""

import time
from pathlib import Path

import numpy as np

from controller.planning.identify import IdentifiedMode
from controller.retention import mode_slots
from controller.settings.machine import MachineSettings, StationSettings
from controller.shared.retained import MODES_DTYPE


def keep_mode(folder: Path, settings: MachineSettings, station: int, mode: IdentifiedMode) -> None:
    """Write a station's identified mode beside those of its neighbours; OSError where it cannot be."""
    slots = mode_slots(folder, settings)
    kept, _ = slots.load()
    record = np.zeros(1, MODES_DTYPE) if kept is None else kept
    row = record[0]["stations"][station]
    row["frequency_hz"], row["damping"] = mode.frequency_hz, mode.damping
    row["tolerance"] = mode.tolerance
    row["believed_hz"] = settings.stations[station].table_mode.frequency_hz
    row["identified_s"] = time.time()
    slots.save(record)


def with_identified_modes(
    settings: MachineSettings, folder: Path
) -> tuple[MachineSettings, list[str]]:
    """Return the settings with each identified mode in the place of what the file believes, and words.

    A mode that was identified under another belief is not used: the machine was changed since.
    """
    kept, words = mode_slots(folder, settings).load()
    if kept is None:
        return settings, words
    stations = []
    for index, station in enumerate(settings.stations):
        row = kept[0]["stations"][index]
        if float(row["frequency_hz"]) > 0.0:
            identified, word = _identified(station, row)
            words.append(word)
            stations.append(identified)
        else:
            stations.append(station)
    return settings.model_copy(update={"stations": tuple(stations)}), words


def _identified(station: StationSettings, row: np.void) -> tuple[StationSettings, str]:
    mode, found = station.table_mode, float(row["frequency_hz"])
    believed = float(row["believed_hz"])
    if believed != mode.frequency_hz:
        return station, (
            f"{station.name}: identified mode {found:.2f} Hz ignored: the machine file said "
            f"{believed:g} Hz then and says {mode.frequency_hz:g} Hz now; identify again"
        )
    values = {
        "frequency_hz": found,
        "damping": float(row["damping"]),
        "tolerance": min(mode.tolerance, float(row["tolerance"])),
    }
    day = time.strftime("%Y-%m-%d", time.localtime(float(row["identified_s"])))
    word = f"{station.name}: identified mode {found:.2f} Hz +-{values['tolerance']:.1%} of {day}"
    return station.model_copy(update={"table_mode": mode.model_copy(update=values)}), word
