"""The io process: hosts what talks to slow devices, and hands their readings to the core.

`python -m controller.io_process --memory-fd N --config F`, started by the supervisor: one poller for each
Modbus device of the machine file. Readings go out by `publish_reading`; camera triggers and slow outputs
come in as requests.
"""

import argparse
import asyncio
import logging
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from controller.child import EXIT_REFUSED, come_first, follow_parent
from controller.settings.loader import load_machine
from controller.shared.layout import CorePhase, ProcessId, ReadingChannel
from controller.shared.view import SharedView
from drivers.modbus.poller import Poller, check_all
from drivers.modbus.reading import Endpoint, Reading

BEAT_S = 0.05
LOOK_S = 0.001  # how often requests are looked for: a trigger waits no longer
TELL_S = 0.5
CHECKS = 5  # a device that boots gets a second to answer
_LIGHTS = ("light_red", "light_amber", "light_green")


def main() -> int:
    """Serve until SIGTERM; return the exit status."""
    parser = argparse.ArgumentParser(prog="controller.io_process")
    parser.add_argument("--memory-fd", type=int, required=True)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--without-devices", action="store_true")
    arguments = parser.parse_args()
    follow_parent()
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)  # the pollers say it, with the place
    settings = load_machine(arguments.config)
    polled = settings.hal == "ethercat" and not arguments.without_devices
    endpoints = [device.endpoint() for device in settings.modbus] if polled else []
    if endpoints and (refused := come_first()):
        _say(refused)  # a master at its gate waits for a camera
    view = SharedView.attach(arguments.memory_fd, ProcessId.IO)
    return asyncio.run(serve(view, endpoints))


async def serve(view: SharedView, endpoints: Sequence[Endpoint]) -> int:
    """Poll every device beside the heartbeat until SIGTERM; returns the exit status.

    Before the machine runs, a device that does not answer stops the start; later it is only told, and its
    readings grow old.
    """
    devices = Devices(view, endpoints)
    tasks = [asyncio.ensure_future(_beat(view)), asyncio.ensure_future(devices.run())]
    together = asyncio.gather(*tasks)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, together.cancel)
    try:
        await together
    except asyncio.CancelledError:
        await asyncio.gather(*tasks, return_exceptions=True)
    except Unreachable as error:
        for problem in error.problems:
            _say(problem)
        return EXIT_REFUSED
    return 0


class Unreachable(ConnectionError):
    """Devices that do not answer at the start, one line each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Devices:
    """The pollers of one machine, between its shared memory and the network."""

    def __init__(self, view: SharedView, endpoints: Sequence[Endpoint]) -> None:
        self._view = view
        self._pollers = {(e.station, e.channel): Poller(e, self._publish) for e in endpoints}
        self._seen = [0] * view.station_count

    @property
    def pollers(self) -> list[Poller]:
        """What polls, in the order of the endpoints."""
        return list(self._pollers.values())

    def _publish(self, reading: Reading) -> None:
        channel = ReadingChannel[reading.channel]
        self._view.publish_reading(reading.station, channel, reading.record())

    async def run(self) -> None:
        """Poll for ever; Unreachable when a device does not answer before the machine runs."""
        if not self._pollers:
            return
        if self._view.core_phase < CorePhase.RUNNING:
            await self._check()
        runs = (poller.run() for poller in self.pollers)
        await asyncio.gather(self._pass_requests(), self._tell(), *runs)

    async def _check(self) -> None:
        problems: list[str] = []
        for _ in range(CHECKS):
            problems = await check_all(self.pollers)
            if not problems:
                return
            await asyncio.sleep(0.2)
        raise Unreachable(problems)

    async def _pass_requests(self) -> None:
        """Hand the core's triggers and slow outputs to the devices."""
        while True:
            for station, newest in enumerate(self._view.newest_requests()):
                if newest != self._seen[station]:
                    self._seen[station] = newest
                    self._pass_request(station, self._view.take_requests()[station])
            await asyncio.sleep(LOOK_S)

    def _pass_request(self, station: int, request: Any) -> None:
        sheets = request["sheet_camera_trigger"]
        self._trigger(station, "SHEET_CAMERA_ANODE", int(sheets[0]))
        self._trigger(station, "SHEET_CAMERA_CATHODE", int(sheets[1]))
        self._trigger(station, "STACK_CAMERA", int(request["stack_camera_trigger"]))
        block = self._pollers.get((station, "IO_BLOCK"))
        if block is not None:
            block.set_output("hipot_test", float(request["hipot_test"]))
            for bit, light in enumerate(_LIGHTS):
                block.set_output(light, float(int(request["stack_light"]) >> bit & 1))

    def _trigger(self, station: int, camera: str, sequence: int) -> None:
        poller = self._pollers.get((station, camera))
        if poller is not None and sequence:
            poller.trigger(sequence)

    async def _tell(self) -> None:
        """Say which devices fall silent and which answer again."""
        silent: set[str] = set()
        while True:
            await asyncio.sleep(TELL_S)
            for poller in self.pollers:
                label, lost = poller.endpoint.label, not poller.connected
                if lost and label not in silent:
                    silent.add(label)
                    _say(poller.counters.last_error or f"{label}: no connection")
                elif not lost and label in silent:
                    silent.discard(label)
                    _say(f"{label}: answers again")


async def _beat(view: SharedView) -> None:
    while True:
        view.beat(time.monotonic_ns())
        await asyncio.sleep(BEAT_S)


def _say(text: str) -> None:
    sys.stderr.write(f"io: {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
