"""Loads and validates settings files: every error at once, each with key, value, limit and remedy."""

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from controller.settings.document import Document, SettingsError, read_document
from controller.settings.machine import MachineSettings
from controller.settings.problems import problems_of
from controller.settings.recipe import RecipeSettings

EXTENDS_MAX = 4
Model = TypeVar("Model", bound=BaseModel)


def load_machine(path: Path) -> MachineSettings:
    """Load a machine file; SettingsError holds every problem."""
    document = _read(path)
    _inherit_from_first_station(document)
    _resolve(document, "ethercat")
    return _validated(document, MachineSettings)


def load_recipe(path: Path) -> RecipeSettings:
    """Load a recipe file; SettingsError holds every problem."""
    return load_settings(path, RecipeSettings)


def load_settings(path: Path, model: type[Model]) -> Model:
    """Load a settings file of any model; SettingsError holds every problem."""
    return _validated(_read(path), model)


def _validated(document: Document, model: type[Model]) -> Model:
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        raise SettingsError(problems_of(error, model, document)) from None


def _read(path: Path, depth: int = 0) -> Document:
    """A file laid over the one that its `extends:` names, path relative to itself."""
    document = read_document(path)
    base = document.data.pop("extends", None)
    if base is None:
        return document
    if not isinstance(base, str) or depth >= EXTENDS_MAX:
        limit = f"expected a file name, at most {EXTENDS_MAX} deep; correct it"
        raise SettingsError([f"{path}: extends = {base!r}: {limit}"])
    below = _read(path.parent / base, depth + 1)
    data = _overlay(below.data, document.data)
    return Document(path, data, below.places | document.places)


def _overlay(below: Any, above: Any) -> Any:
    """Mappings merge key by key, lists of mappings entry by entry; anything else replaces."""
    if isinstance(below, dict) and isinstance(above, dict):
        merged = {k: _overlay(below[k], v) if k in below else v for k, v in above.items()}
        return below | merged
    if _mappings(below) and _mappings(above):
        merged_entries = [_overlay(b, a) for b, a in zip(below, above, strict=False)]
        return merged_entries + above[len(below) :] + below[len(above) :]
    return above


def _mappings(value: Any) -> bool:
    """Tell whether a value is a list of mappings; an empty list replaces like anything else."""
    return isinstance(value, list) and value != [] and all(isinstance(e, dict) for e in value)


def _inherit_from_first_station(document: Document) -> None:
    stations = document.data.get("stations")
    if _mappings(stations):
        first, *others = stations
        document.data["stations"] = [first, *(_overlay(first, other) for other in others)]


def _resolve(document: Document, key: str) -> None:
    """Take a file's name relative to the file that it is written in."""
    name = document.data.get(key)
    if isinstance(name, str):
        document.data[key] = str(document.place((key,))[0].parent / name)
