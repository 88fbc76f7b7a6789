"""The gateway as one object: what it starts, what it does each turn, what it ends."""

import asyncio
import time
from importlib.metadata import version
from pathlib import Path

from controller.gateway.log import EventLog
from controller.gateway.opcua.model.build import build_model
from controller.gateway.opcua.server import GatewayServer
from controller.gateway.snapshot import take_snapshot
from controller.settings.machine import MachineSettings
from controller.shared.view import SharedView


class Gateway:
    """Server, model, logs and records of one machine; it keeps nothing that the core does not."""

    def __init__(
        self, view: SharedView, settings: MachineSettings, state: Path, config: Path, memory_fd: int
    ) -> None:
        self.view = view
        self.settings = settings
        self.state = state
        self.config = config
        self.memory_fd = memory_fd
        self.server = GatewayServer(settings.opcua, settings.name, state, version("foldline"))
        self.events = EventLog()
        self._seen = 0

    async def start(self) -> None:
        """Build the model, show the present state, listen."""
        await self.server.init()
        self.model = build_model(self.server, self.settings, self.view, self.state)
        self.turn()
        await self.server.start()

    async def run(self) -> None:
        """Turn at the publishing period until cancelled."""
        while True:
            self.turn()
            await asyncio.sleep(self.settings.opcua.publishing_period_s)

    def turn(self) -> None:
        """Beat, write events as words, show what changed."""
        self.view.beat(time.monotonic_ns())
        newest, drained = self.view.drain_events(self._seen)
        if self._seen and newest - self._seen > len(drained):
            self.events.lost(newest - self._seen - len(drained))
        self._seen = newest
        self.events.write(drained)
        self.model.update(take_snapshot(self.view))

    async def stop(self) -> None:
        """End every connection."""
        await self.server.stop()
