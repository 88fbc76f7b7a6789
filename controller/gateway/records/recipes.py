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
from controller.shared.view import SharedView

PLAN_S_MAX = 120.0
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
            slots = {_slot(self._view, index) for index in range(self._view.station_count)}
            if len(slots) > 1:
                raise RecipeRefused("the last activation has not reached every station; wait")
            slot = 1 - slots.pop()
            await self._plan(path, slot)
            return [_identity(self._view, at, slot) for at in range(self._view.station_count)]

    async def _plan(self, path: Path, slot: int) -> None:
        arguments = [
            "-m", "controller.planning.process", "--memory-fd", str(self._memory_fd),
            "--config", str(self._config), "--recipe", str(path), "--slot", str(slot),
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
        log.info("plan activated at the next cell", recipe=path.stem, slot=slot)


def _slot(view: SharedView, station: int) -> int:
    status = view.read_station(station)
    return int(status["plan_slot"]) % 2 if status is not None else 0


def _identity(view: SharedView, station: int, slot: int) -> str:
    """Return the identity of the plan in a slot, as records name it."""
    identity = view.memory["stations"][station]["plans"][slot]["payload"]["identity"]
    return bytes(identity.tobytes()).hex()


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
