"""The gateway as one object: what it starts, what it does each turn, what it ends."""

import asyncio
import time
from importlib.metadata import version
from pathlib import Path

import structlog
from asyncua import ua

from controller.gateway.log import EventLog, words_of
from controller.gateway.opcua.events import make_event
from controller.gateway.opcua.model.build import Plant, build_model
from controller.gateway.opcua.model.historian import Historian
from controller.gateway.opcua.server import GatewayServer
from controller.gateway.records.history_store import HistoryFile
from controller.gateway.records.jobs import Jobs
from controller.gateway.records.link import RecordLink
from controller.gateway.records.outbox import Outbox
from controller.gateway.records.recipes import Recipes
from controller.gateway.snapshot import take_snapshot, wall_time
from controller.gateway.software import software_hash
from controller.settings.machine import MachineSettings
from controller.shared.events import EventKind
from controller.shared.view import SharedView

DATABASE = "records.sqlite"
HISTORY = "history.sqlite"
TOLD_TO_THE_PLANT = (
    EventKind.STATE_CHANGED,
    EventKind.MODE_CHANGED,
    EventKind.CELL_STARTED,
    EventKind.CELL_FINISHED,
    EventKind.RECOVERED,
    EventKind.PLAN_ACTIVATED,
    EventKind.ROLL_CHANGED,
)
SEVERITY_INFORMATION = 50
log = structlog.get_logger("gateway")


class Gateway:
    """Server, model, logs and records of one machine; what it shows it reads from the core again."""

    def __init__(
        self, view: SharedView, settings: MachineSettings, state: Path, config: Path, memory_fd: int
    ) -> None:
        self.view = view
        self.settings = settings
        state.mkdir(parents=True, exist_ok=True)
        self.server = GatewayServer(settings.opcua, settings.name, state, version("foldline"))
        self.outbox = Outbox(state / DATABASE)
        self.history = HistoryFile(state / HISTORY, settings.opcua.history_days)
        self.link = RecordLink(view, memory_fd, state / DATABASE, software_hash())
        self.recipes = Recipes(view, memory_fd, config, state)
        self.jobs = Jobs(self.outbox)
        self._plant = Plant(view, self.outbox, self.jobs, self.recipes, self.history, state)
        self.events = EventLog()
        self.first_recipe: str | None = None
        self._historian: Historian | None = None
        # A gateway that is started again goes on where its forerunner was killed.
        self._run = view.run.hex
        self._seen = self.history.seen(self._run)

    async def start(self) -> None:
        """Start storing records, build the model, show the present state, listen."""
        self.link.start()
        await self.server.init()
        self.built = build_model(self.server, self.settings, self._plant)
        self.model = self.built.model
        self._historian = self.built.historian
        self.turn()
        await self.server.start()

    async def run(self) -> None:
        """Turn at the publishing period until cancelled; a turn that fails is told, not fatal."""
        while True:
            try:
                self.turn()
            except Exception:
                log.exception("a turn of the gateway failed")
            await asyncio.sleep(self.settings.opcua.publishing_period_s)

    def turn(self) -> None:
        """Beat, write events as words, show what changed, move records and jobs on."""
        self.view.beat(time.monotonic_ns())
        self._tell_events()
        self.link.acknowledge()
        snapshot = take_snapshot(self.view)
        newest = int(self.view.memory["records"]["newest"])
        snapshot.records_pending = max(newest - self.link.stored, 0)
        self._name_first_plans()
        self.model.update(snapshot)
        self.built.results.update()
        self.built.engine.turn(snapshot)

    def _name_first_plans(self) -> None:
        """The plans of a run's start were not activated through us: their name comes from the start."""
        if self.first_recipe is None:
            return
        for plan in self.recipes.first_plans():
            if self.outbox.recipe_of(plan) is None:
                self.outbox.name_plan(plan, self.first_recipe)

    def _tell_events(self) -> None:
        newest, drained = self.view.drain_events(self._seen)
        if newest == self._seen:
            return
        if newest - self._seen > len(drained):
            self.events.lost(newest - self._seen - len(drained))
        self._seen = newest
        self.history.mark_seen(self._run, newest)
        self.events.write(drained)
        for event in drained:
            if int(event["kind"]) in TOLD_TO_THE_PLANT:
                self._tell_plant(event)

    def _tell_plant(self, event: object) -> None:
        words = words_of(event)
        words.pop("level")
        title = words.pop("event")
        station = words.pop("station")
        details = {key: words[key] for key in words if key not in ("at", "cycle")}
        text = ", ".join(f"{key} {value}" for key, value in details.items())
        machine = self.model.machine
        told = make_event(
            ua.NodeId(ua.ObjectIds.SystemEventType),
            (ua.NodeId(ua.ObjectIds.Server), machine),
            machine,
            f"station {station}",
            f"{title}: {text}",
            SEVERITY_INFORMATION,
            wall_time(int(event["time_ns"])),  # type: ignore[index]
        )
        self.model.tell(told)
        self.built.historian.keep(told)

    async def stop(self) -> None:
        """End every connection, the writer and the databases; fit for a gateway half started too."""
        await self.server.stop()
        await self.link.stop()
        if self._historian is not None:
            await self._historian.close()
        self.outbox.close()
