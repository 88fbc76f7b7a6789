"""Reads one YAML file into plain values, safely, and remembers where each value stands."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

SIZE_MAX_BYTES = 256 * 1024
VALUES_MAX = 20_000
DEPTH_MAX = 32

_PLAIN_TAGS = {"tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}

Key = tuple[str | int, ...]
Place = tuple[Path, int]


class SettingsError(Exception):
    """What is wrong with a settings file, one line a problem."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass
class Document:
    """Plain values, and the file and line of each of them."""

    path: Path
    data: Any = None
    places: dict[Key, Place] = field(default_factory=dict)

    def place(self, key: Key) -> Place:
        """File and line of a value, or of the nearest value around it."""
        for size in range(len(key), -1, -1):
            if key[:size] in self.places:
                return self.places[key[:size]]
        return self.path, 1


class _Loader(yaml.SafeLoader):
    """Safe YAML that also reads 1e-3 as a number (YAML 1.2)."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def read_document(path: Path) -> Document:
    """Read a YAML file whose top is a mapping; SettingsError names what is wrong with it."""
    content = _read_text(path)
    document = Document(path)
    try:
        loader = _Loader(content)
        node = loader.get_single_node()
        document.data = _Reader(loader, document).value(node, ()) if node else None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SettingsError([f"{path}:{line}: {error.problem}; correct the YAML"]) from None
    except (yaml.YAMLError, ValueError) as error:
        first = str(error).partition("\n")[0]
        raise SettingsError([f"{path}: {first}; correct the YAML"]) from None
    except RecursionError:
        raise SettingsError([f"{path}: nested too deeply; flatten it"]) from None
    if not isinstance(document.data, dict):
        found = "empty" if document.data is None else f"a {type(document.data).__name__}"
        raise SettingsError([f"{path}: {found}: expected a mapping; write `key: value` lines"])
    return document


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(SIZE_MAX_BYTES + 1)
    except OSError as error:
        raise SettingsError([f"{path}: {error.strerror}; give an existing file"]) from None
    if len(content) > SIZE_MAX_BYTES:
        limit = f"{SIZE_MAX_BYTES // 1024} kB"
        raise SettingsError([f"{path}: larger than {limit}: no settings file; give the right one"])
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        where = f"byte {error.start}"
        raise SettingsError([f"{path}: not UTF-8 at {where}; save it as UTF-8 text"]) from None


class _Reader:
    """Turns nodes into values; counts them, so that aliases cannot multiply without end."""

    def __init__(self, loader: _Loader, document: Document) -> None:
        self._loader = loader
        self._document = document
        self._count = 0

    def value(self, node: yaml.Node, key: Key) -> Any:
        self._count += 1
        if self._count > VALUES_MAX or len(key) > DEPTH_MAX:
            limits = f"more than {VALUES_MAX} values or {DEPTH_MAX} levels"
            raise yaml.MarkedYAMLError(problem=limits, problem_mark=node.start_mark)
        self._document.places[key] = self._document.path, node.start_mark.line + 1
        if not isinstance(node, yaml.ScalarNode) and node.tag not in _PLAIN_TAGS:
            raise yaml.MarkedYAMLError(problem=f"tag {node.tag}", problem_mark=node.start_mark)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, key)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*key, i)) for i, item in enumerate(node.value)]
        return self._loader.construct_object(node)

    def _mapping(self, node: yaml.MappingNode, key: Key) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name_node, value_node in node.value:
            name = name_node.value
            if not isinstance(name, str) or name in values:
                problem = (
                    f"key {name!r} twice" if isinstance(name, str) else "a key that is no text"
                )
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=name_node.start_mark)
            values[name] = self.value(value_node, (*key, name))
        return values
