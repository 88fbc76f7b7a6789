"""Turns validation errors into words: the key, its value, the limit and what to do."""

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from controller.settings.document import Document, Key

PROBLEMS_SHOWN_MAX = 15
_VALUE_LENGTH_MAX = 40

_MESSAGES: dict[str, Callable[[dict[str, Any]], str]] = {
    "missing": lambda c: "missing; add it",
    "greater_than_equal": lambda c: f"below {c['ge']:g}; raise it",
    "less_than_equal": lambda c: f"above {c['le']:g}; lower it",
    "float_type": lambda c: "expected a number; write it without quotes or text",
    "int_type": lambda c: "expected a whole number; write it without quotes, text or fraction",
    "int_from_float": lambda c: "expected a whole number; drop the fraction",
    "float_parsing": lambda c: "expected a number; write it without text",
    "int_parsing": lambda c: "expected a whole number; write it without text",
    "bool_type": lambda c: "expected true or false; write one of them",
    "string_type": lambda c: "expected a text; put it in quotes",
    "finite_number": lambda c: "expected a finite number; write one",
    "string_too_short": lambda c: f"expected {c['min_length']} characters or more; write them",
    "string_too_long": lambda c: f"expected at most {c['max_length']} characters; shorten it",
    "too_short": lambda c: f"expected {c['min_length']} entries or more; add one",
    "too_long": lambda c: f"expected at most {c['max_length']} entries; remove some",
    "literal_error": lambda c: f"expected {c['expected']}; write one of them",
    "model_type": lambda c: "expected a mapping; write `key: value` lines under it",
    "model_attributes_type": lambda c: "expected a mapping; write `key: value` lines under it",
    "tuple_type": lambda c: "expected a list; begin each entry with `- `",
    "list_type": lambda c: "expected a list; begin each entry with `- `",
    "value_error": lambda c: str(c["error"]),
}


def problems_of(error: ValidationError, model: type[BaseModel], document: Document) -> list[str]:
    """One line a problem, in the file's order, as `file:line: key = value: limit; remedy`."""
    found: dict[tuple[str, int, str], None] = {}
    errors = error.errors(include_url=False)
    renamed = {_sibling(e["loc"], name) for e in errors if (name := _meant(e, model))}
    for detail in errors:
        if detail["type"] == "missing" and detail["loc"] in renamed:
            continue  # told already, as the key that was meant
        if detail["type"] == "too_short" and len(detail["input"]) >= detail["ctx"]["min_length"]:
            continue  # only because entries are wrong, which is told
        key = _as_written(detail["loc"], document)
        file, line = document.place(key)
        found[str(file), line, f"{file}:{line}: {_words(detail, key, model)}"] = None
    return [line for *_, line in sorted(found)]


def one_screen(problems: list[str]) -> str:
    """The problems as one screen of text: the first ones, and how many are left."""
    shown = problems[:PROBLEMS_SHOWN_MAX]
    left = len(problems) - len(shown)
    return "\n".join(shown + ([f"... and {left} more"] if left else []))


def _words(detail: ErrorDetails, key: Key, model: type[BaseModel]) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    name = _dotted(key)
    if kind == "extra_forbidden":
        meant = _meant(detail, model)
        return f"{name}: unknown key; " + (f"did you mean {meant}?" if meant else "remove it")
    message = _MESSAGES[kind](context) if kind in _MESSAGES else detail["msg"]
    if kind == "missing" or isinstance(detail["input"], dict | list):
        return f"{name}: {message}"
    return f"{name} = {_short(detail['input'])}: {message}"


def _short(value: Any) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _VALUE_LENGTH_MAX else text[: _VALUE_LENGTH_MAX - 3] + "..."


def _dotted(key: Key) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in key)
    return _printable(text.removeprefix(".")) or "(top)"


def _printable(text: str) -> str:
    clean = "".join(c if c.isprintable() else "?" for c in text)
    return clean if len(clean) <= 120 else clean[:117] + "..."


def _sibling(loc: Key, name: str) -> Key:
    return (*loc[:-1], name)


def _as_written(key: Key, document: Document) -> Key:
    """A later station's inherited value is the first station's: name it there."""
    if len(key) > 2 and key[0] == "stations" and key not in document.places:
        first = ("stations", 0, *key[2:])
        return first if key[:-1] not in document.places or first in document.places else key
    return key


def _meant(detail: ErrorDetails, model: type[BaseModel]) -> str | None:
    """The known key nearest to an unknown one."""
    if detail["type"] != "extra_forbidden":
        return None
    owner = _model_at(detail["loc"][:-1], model)
    names = list(owner.model_fields) if owner else []
    close = get_close_matches(str(detail["loc"][-1]), names, n=1, cutoff=0.7)
    return close[0] if close else None


def _model_at(loc: Key, model: type[BaseModel]) -> type[BaseModel] | None:
    current: type[BaseModel] | None = model
    for part in loc:
        if isinstance(part, str) and current is not None:
            info = current.model_fields.get(part)
            current = _model_in(info.annotation) if info else None
    return current


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model class in an annotation such as `Model`, `Model | None` or `tuple[Model, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_in(part) for part in get_args(annotation))
    return next((part for part in found if part is not None), None)
