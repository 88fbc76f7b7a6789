"""Recipes: the files beside the machine file, validated with changed parameters, planned and activated."""

import asyncio
import re
import sys
from pathlib import Path
from typing import Any

import structlog
import yaml

from controller.settings.document import SettingsError, read_document
from controller.settings.loader import load_recipe
from controller.settings.recipe import RecipeSettings
from controller.shared.commands import CommandCode
from controller.shared.layout import PLAN_SLOTS
from controller.shared.view import SharedView

PLAN_S_MAX = 120.0
TAKE_BACK_TURNS, TAKE_BACK_TURN_S = 40, 0.05
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
PARAMETERS_MAX = 64
log = structlog.get_logger("recipes")


class RecipeRefused(ValueError):
    """A recipe is unknown or not valid; the message says why, for the MES."""


class Recipes:
    """Lists, validates and activates recipes; planning is done by the planner's own process."""

    def __init__(self, view: SharedView, memory_fd: int, config: Path, state: Path) -> None:
        self._view = view
        self._memory_fd = memory_fd
        self._config = config
        self._folder = config.parent / "recipes"
        self._effective = state / "recipes"
        self._turn = asyncio.Lock()

    def names(self) -> list[str]:
        """Return the recipes there are, by file name."""
        return sorted(
            path.stem for path in self._folder.glob("*.yaml") if NAME.fullmatch(path.stem)
        )

    def load(self, name: str) -> RecipeSettings:
        """Return a recipe as its file has it; RecipeRefused."""
        try:
            return load_recipe(self._path(name))
        except SettingsError as error:
            raise RecipeRefused(str(error)) from error

    def validate(self, name: str, parameters: dict[str, float]) -> RecipeSettings:
        """Return a recipe with parameters changed by their dotted keys; RecipeRefused says what is wrong."""
        return self._write(name, parameters)[0]

    def _path(self, name: str) -> Path:
        # The name becomes a path: nothing but what `names` lists may pass.
        if name not in self.names():
            raise RecipeRefused(f"recipe {name!r} is unknown; there are {', '.join(self.names())}")
        return self._folder / f"{name}.yaml"

    def _write(self, name: str, parameters: dict[str, float]) -> tuple[RecipeSettings, Path]:
        path = self._path(name)
        if not parameters:
            return self.load(name), path
        if len(parameters) > PARAMETERS_MAX:
            raise RecipeRefused(f"{len(parameters)} parameters: {PARAMETERS_MAX} at most")
        try:
            data = read_document(path).data
            for key, value in parameters.items():
                _change(data, key, value)
            self._effective.mkdir(parents=True, exist_ok=True)
            changed = self._effective / f"{name}.yaml"
            changed.write_text(yaml.safe_dump(data))
            return load_recipe(changed), changed
        except SettingsError as error:
            raise RecipeRefused(str(error)) from error

    async def activate(self, name: str, parameters: dict[str, float]) -> list[str]:
        """Plan a recipe and activate it at the next cell; return the plans' identities.

        RecipeRefused carries the planner's words; the machine then stays as it was.
        """
        async with self._turn:
            _, path = self._write(name, parameters)
            slots = [await self._idle_slot(at) for at in range(self._view.station_count)]
            await self._plan(path, slots)
            return [self._identity(at, slot) for at, slot in enumerate(slots)]

    def next_plan(self, station: int = 0) -> str:
        """Return the identity of the plan that a station's next cell is made with."""
        status = self._view.read_station(station)
        if status is None:
            return ""
        waiting = int(status["next_plan_slot"])
        if waiting < 0:
            return bytes(status["plan_identity"].tobytes()).hex()
        return self._identity(station, waiting % PLAN_SLOTS)

    def first_plans(self) -> list[str]:
        """Return the identities of the plans that were made at the run's start, where still held."""
        found = []
        for station in range(self._view.station_count):
            plans = self._view.memory["stations"][station]["plans"]
            found += [
                self._identity(station, slot) for slot in (plans["sequence"] == 1).nonzero()[0]
            ]
        return found

    def _identity(self, station: int, slot: int) -> str:
        """Return the identity of the plan in a slot, as records name it."""
        identity = self._view.memory["stations"][station]["plans"][slot]["payload"]["identity"]
        return bytes(identity.tobytes()).hex()

    async def _idle_slot(self, station: int) -> int:
        """Return a station's slot that is free; a plan that waits in it is taken back."""
        for _ in range(TAKE_BACK_TURNS):
            status = self._view.read_station(station)
            if status is None:
                raise RecipeRefused("the core is silent")
            active, waiting = int(status["plan_slot"]), int(status["next_plan_slot"])
            if waiting in (-1, active):
                return 1 - active % PLAN_SLOTS
            self._view.send(CommandCode.ACTIVATE_PLAN, station=station, value=float(active))
            await asyncio.sleep(TAKE_BACK_TURN_S)
        raise RecipeRefused("the plan that waits for the next cell could not be taken back")

    async def _plan(self, path: Path, slots: list[int]) -> None:
        arguments = [
            "-m", "controller.planning.process", "--memory-fd", str(self._memory_fd),
            "--config", str(self._config), "--recipe", str(path), "--slot", *map(str, slots),
        ]  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, stderr=asyncio.subprocess.PIPE, pass_fds=(self._memory_fd,)
        )
        try:
            _, text = await asyncio.wait_for(process.communicate(), PLAN_S_MAX)
        except TimeoutError:
            process.kill()
            await process.wait()
            raise RecipeRefused(f"planning took more than {PLAN_S_MAX:g} s") from None
        if process.returncode != 0:
            words = text.decode(errors="replace").strip().splitlines()
            raise RecipeRefused(words[-1] if words else f"planner status {process.returncode}")
        log.info("plan activated at the next cell", recipe=path.stem, slots=slots)


def _change(data: dict[str, Any], key: str, value: float) -> None:
    *above, last = key.split(".")
    place: Any = data
    for name in above:
        place = place.get(name) if isinstance(place, dict) else None
    if (
        not isinstance(place, dict)
        or last not in place
        or isinstance(place[last], dict | list | str)
    ):
        raise RecipeRefused(f"parameter {key!r} is unknown or not a number")
    # Whole numbers stay whole: the recipe's own types decide the rest.
    place[last] = int(value) if isinstance(place[last], int) and value == int(value) else value
