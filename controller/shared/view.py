"""The shared memory as every process but the core sees it: by name, whole or not at all."""

import mmap
import os
import uuid
from typing import Any

import numpy as np
from numpy.typing import NDArray

from controller.shared import mailbox, rings
from controller.shared.commands import CommandCode, CommandResult
from controller.shared.layout import (
    MAGIC,
    MEMORY_DTYPE,
    PLAN_SLOTS,
    VERSION,
    CorePhase,
    ProcessId,
    ReadingChannel,
    layout_hash,
)
from controller.shared.snapshot import read_newest

CORE_SILENCE_NS_MAX = 200_000_000


def create_memory(station_count: int, period_ns: int) -> int:
    """Create the shared memory and return its file descriptor, to be handed down by number."""
    fd = os.memfd_create("foldline")
    os.ftruncate(fd, MEMORY_DTYPE.itemsize)
    _fill_header(map_memory(fd)["header"], station_count, period_ns)
    return fd


def private_memory(station_count: int, period_ns: int) -> Any:
    """Return a memory of this process's own: what a machine in virtual time publishes to."""
    memory = np.zeros((), MEMORY_DTYPE)
    _fill_header(memory["header"], station_count, period_ns)
    return memory


def _fill_header(header: Any, station_count: int, period_ns: int) -> None:
    header["version"] = VERSION
    header["layout"] = np.frombuffer(layout_hash(), np.uint8)
    header["run"] = np.frombuffer(uuid.uuid4().bytes, np.uint8)
    header["station_count"], header["period_ns"] = station_count, period_ns
    header["magic"] = MAGIC  # last: whoever sees it sees the rest


def map_memory(fd: int) -> Any:
    """Map the shared memory of a file descriptor as one MEMORY_DTYPE record."""
    return np.frombuffer(mmap.mmap(fd, MEMORY_DTYPE.itemsize), MEMORY_DTYPE).reshape(())


class SharedView:
    """Typed access to a mapped memory for one process; ValueError when it is of another build."""

    def __init__(self, memory: Any, process: ProcessId = ProcessId.GATEWAY) -> None:
        self.memory = memory
        self.process = process
        self._check_header()
        self._lane = rings.CommandLane(memory["lanes"][process], process)

    @classmethod
    def attach(cls, fd: int, process: ProcessId) -> "SharedView":
        """Map the memory behind a file descriptor and sign in with this process's id."""
        view = cls(map_memory(fd), process)
        view.header["pids"][process] = os.getpid()
        return view

    def _check_header(self) -> None:
        if int(self.header["magic"]) != MAGIC:
            raise ValueError("shared memory: not Foldline's; was it handed down by the supervisor?")
        if self.header["layout"].tobytes() != layout_hash():
            raise ValueError("shared memory: its layout is of another build; restart all processes")

    @property
    def header(self) -> Any:
        """The header record, live."""
        return self.memory["header"]

    @property
    def station_count(self) -> int:
        """Number of stations of the machine."""
        return int(self.header["station_count"])

    @property
    def run(self) -> uuid.UUID:
        """Identity of this run: with a record's counter the key of a cell."""
        return uuid.UUID(bytes=self.header["run"].tobytes())

    @property
    def core_phase(self) -> CorePhase:
        """How far the core has come."""
        return CorePhase(int(self.header["core_phase"]))

    def beat(self, now_ns: int) -> None:
        """Write this process's heartbeat, CLOCK_MONOTONIC."""
        self.header["heartbeats_ns"][self.process] = now_ns

    def core_alive(self, now_ns: int, limit_ns: int = CORE_SILENCE_NS_MAX) -> bool:
        """Tell whether the core's last heartbeat is younger than the limit."""
        return now_ns - int(self.header["heartbeats_ns"][ProcessId.CORE]) < limit_ns

    def read_machine(self) -> np.void | None:
        """Return the newest machine status, or None where there is none yet."""
        return _payload(self.memory["machine"])

    def read_station(self, index: int) -> np.void | None:
        """Return the newest status of a station, or None where there is none yet."""
        return _payload(self.memory["stations"][index]["status"])

    def read_statistics(self) -> np.void | None:
        """Return the newest wall-clock statistics, or None where there are none yet."""
        return _payload(self.memory["statistics"])

    def drain_events(self, after: int) -> tuple[int, NDArray[np.void]]:
        """Return (newest sequence, events after `after`).

        Events were lost where the sequence advanced by more than the number returned.
        """
        newest, events, _ = rings.drain(self.memory["events"], after)
        return newest, events

    def read_retained(self, index: int) -> tuple[int, np.void] | None:
        """Return (sequence, what a station wants to keep over a restart), None before its first cell."""
        return read_newest(self.memory["stations"][index]["retained"])

    def drain_scope(self, after: int) -> tuple[int, NDArray[np.void], int]:
        """Return (newest sequence, SCOPE_DTYPE samples after `after`, samples lost)."""
        return rings.drain(self.memory["scope"], after)

    def read_records(self, after: int) -> list[np.void]:
        """Return the cell records whose counter is above `after`, oldest first."""
        return rings.read_records(self.memory["records"], after)

    def send(
        self,
        code: CommandCode,
        station: int = 0,
        index: int = 0,
        value: float = 0.0,
        source: int = 0,
    ) -> int:
        """Send a command and return its sequence; without a source this process's id is it."""
        return self._lane.send(code, station, index, value, source or int(self.process))

    def answer(self, sequence: int) -> CommandResult | None:
        """Return the core's answer to a command this process sent, None while it has none."""
        return self._lane.answer(sequence)

    def publish_reading(self, station: int, channel: ReadingChannel, reading: Any) -> int:
        """Hand a CAMERA_READING_DTYPE record of a station to the core."""
        return mailbox.publish_reading(self.memory["stations"][station], channel, reading)

    def take_requests(self) -> NDArray[np.void]:
        """Return what the core asks of the io process, one REQUEST_DTYPE a station."""
        return mailbox.read_requests(self.memory["stations"], self.station_count)

    def newest_requests(self) -> list[int]:
        """Return the sequence of each station's newest request: cheap to look at often."""
        stations = self.memory["stations"]
        return [int(stations[i]["requests"]["newest"]) for i in range(self.station_count)]

    def write_plan(self, station: int, slot: int, plan: Any) -> int:
        """Write a PLAN_DTYPE record into a station's slot and return its sequence."""
        return mailbox.write_plan(self.memory["stations"][station], slot, plan)

    def read_plan(self, station: int) -> np.void | None:
        """Return the plan that a station runs by, None without one."""
        status = self.read_station(station)
        slot = 0 if status is None else int(status["plan_slot"]) % PLAN_SLOTS
        return mailbox.read_plan(self.memory["stations"][station], slot)

    def plan_loaded(self, station: int, slot: int) -> int:
        """Return the sequence of the plan that the core holds in a slot, 0 for none."""
        return int(self.memory["stations"][station]["plans_loaded"][slot])


def _payload(pair: Any) -> np.void | None:
    newest = read_newest(pair)
    return None if newest is None else newest[1]
