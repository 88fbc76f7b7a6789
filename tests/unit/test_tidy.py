"""The house rules that a linter does not know."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("controller", "drivers", "hal_sim", "motion")
SOURCES = sorted(
    path for folder in (*PACKAGES, "bench", "tests") for path in (ROOT / folder).rglob("*.py")
    if "node_modules" not in path.parts
)  # fmt: skip
LINES_MAX = 500

# libm differs between CPUs by a unit in the last place: cyclic code uses the project's own.
LIBM = {
    f"{prefix}{name}"
    for prefix in ("", "arc", "a")
    for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh", "tan2")
} | {"exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "pow", "power", "cbrt", "hypot"}
# Computed once, in planning, and recorded: no cycle depends on the last bit of these.
PLANNING = ("controller/planning/", "motion/cam_laws.py", "motion/optimise", "motion/shapers.py")

# Package registries' hosts: the lock and the docs name none.
FOREIGN = re.compile(
    r"py(?:pi)[.]org|python(?:hosted)[.]org|registry[.](?:npm)js|proxy[.](?:go)lang"
)
TEXTS = (
    "*.py",
    "*.md",
    "*.toml",
    "*.yaml",
    "*.json",
    "*.lock",
    "*.js",
    "*.mjs",
    "*.sh",
    "Makefile",
)


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _is_compiled(function: ast.FunctionDef) -> bool:
    return any(
        isinstance(node, ast.Name) and node.id in {"cfunc", "jit", "kernel", "njit"}
        for decorator in function.decorator_list
        for node in ast.walk(decorator)
    )


def _compiled_functions(tree: ast.AST) -> Iterator[ast.FunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and _is_compiled(node):
            yield node


def _libm_imports(tree: ast.AST) -> set[str]:
    return {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module in {"math", "numpy"}
        for alias in node.names
        if alias.name in LIBM
    }


def libm_calls(source: str) -> list[str]:
    """Each use of a libm function, or of a power that needs one, in a compiled function."""
    tree = ast.parse(source)
    imported = _libm_imports(tree)
    found = []
    for function in _compiled_functions(tree):
        for node in ast.walk(function):
            attribute = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
            if attribute and node.value.id in {"math", "np", "numpy"} and node.attr in LIBM:
                found.append(f"{node.lineno}: {node.value.id}.{node.attr}")
            elif isinstance(node, ast.Name) and node.id in imported:
                found.append(f"{node.lineno}: {node.id}")
            elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
                exponent = getattr(node.right, "value", None)
                if not (isinstance(exponent, int) and 0 <= exponent <= 8):
                    found.append(f"{node.lineno}: **")
    return found


def test_the_search_for_libm_finds_what_it_is_for() -> None:
    planted = (
        "import math\nimport numpy as np\nfrom math import exp as grow\n"
        "@njit(cache=True)\ndef kernel(x):\n    return math.sin(x) + np.exp(x) + grow(x) + x**0.5\n"
        "def planning(x):\n    return math.sin(x) + x**2.5\n"
        "@njit\ndef fine(x):\n    return math.sqrt(x) + x**2 + sine(x)\n"
    )
    assert sorted(libm_calls(planted)) == ["6: **", "6: grow", "6: math.sin", "6: np.exp"]


@pytest.mark.parametrize("package", PACKAGES)
def test_compiled_cyclic_code_calls_no_libm(package: str) -> None:
    found = {
        _name(path): calls
        for path in sorted((ROOT / package).rglob("*.py"))
        if not _name(path).startswith(PLANNING) and (calls := libm_calls(path.read_text()))
    }
    assert not found


def test_no_kernel_trades_bits_for_speed() -> None:
    fast = [
        _name(path)
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.keyword) and node.arg in {"fastmath", "parallel"}
    ]
    assert not fast


def test_every_package_file_is_empty() -> None:
    full = [_name(path) for path in SOURCES if path.name == "__init__.py" and path.stat().st_size]
    assert not full


def test_every_folder_of_sources_is_a_package() -> None:
    bare = {_name(path.parent) for path in SOURCES if not (path.parent / "__init__.py").exists()}
    assert not bare


def test_no_source_is_longer_than_a_reader_bears() -> None:
    lengths = {_name(path): path.read_text().count("\n") for path in SOURCES}
    assert not {name: lines for name, lines in lengths.items() if lines > LINES_MAX}


def test_there_is_no_drawer_for_everything() -> None:
    drawers = {"utils.py", "util.py", "helpers.py", "common.py", "misc.py", "manager.py"}
    assert not [_name(path) for path in SOURCES if path.name in drawers]


def test_every_module_says_what_it_is() -> None:
    silent = [
        _name(path)
        for path in SOURCES
        if path.name != "__init__.py" and ast.get_docstring(ast.parse(path.read_text())) is None
    ]
    assert not silent


def _texts() -> Iterator[Path]:
    for top in ROOT.iterdir():
        if top.is_file() and any(top.match(pattern) for pattern in TEXTS):
            yield top
        elif top.is_dir() and not top.name.startswith("."):
            paths = (path for pattern in TEXTS for path in top.rglob(pattern))
            yield from (path for path in paths if "node_modules" not in path.parts)


def test_sources_name_no_registry_and_no_folder_of_one_machine() -> None:
    found = {
        f"{_name(path)}: {match.group()}"
        for path in _texts()
        for match in FOREIGN.finditer(path.read_text(errors="replace"))
    }
    assert not found
