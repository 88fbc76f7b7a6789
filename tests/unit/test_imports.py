"""Who may import whom: the contracts hold, each of them can fail, and numba stays in the core."""

import ast
import shutil
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("controller", "drivers", "hal_sim", "motion")
CONTRACTS = {
    contract["id"]: contract["name"]
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ]
}

# A violation of each contract: the file it is planted in and the line.
PLANTED = {
    "motion-knows-no-machine": ("motion/layouts.py", "import drivers.image"),
    "motion-kernels-need-no-scipy": ("motion/cam_table.py", "import scipy.optimize"),
    "drivers-know-no-machine": ("drivers/devices/registry.py", "import motion.layouts"),
    "pysoem-in-bring-up-alone": ("drivers/seam.py", "import pysoem"),
    "pymodbus-in-modbus-alone": (
        "drivers/image.py",
        "from pymodbus.client import AsyncModbusTcpClient",
    ),
    "simulator-knows-no-controller": ("hal_sim/context.py", "from motion import fold_geometry"),
    "simulator-in-assembly-alone": ("controller/cli.py", "import hal_sim.context"),
    "the-loop-is-alone": ("controller/station/scan.py", "import logging"),
    "no-numba-beside-the-core": ("controller/settings/loader.py", "import drivers.cia402_step"),
    "shared-is-the-ground": ("controller/shared/packml.py", "import controller.station.state"),
}

# What a package may import of others; patterns narrow it to the files that need it.
ALLOWED: dict[str, dict[str, str]] = {
    "motion": {
        "numpy": "*",
        "numba": "*",
        "scipy": "optimise* shapers.py",
        "matplotlib": "pictures*",
    },
    "drivers": {
        "numpy": "*",
        "numba": "*",
        "pysoem": "ethercat/*",
        "pymodbus": "modbus/*",
    },
    "hal_sim": {"numpy": "*", "numba": "*", "drivers": "*", "pymodbus": "modbus/*"},
}

NUMBA_FREE = (
    "controller.child", "controller.cli", "controller.console", "controller.display",
    "controller.gateway", "controller.io_process", "controller.operator_panel",
    "controller.processes", "controller.settings", "controller.shared", "controller.supervisor",
    "drivers.cia402", "drivers.image",
)  # fmt: skip


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the packages and their contracts."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=_only_sources)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def _only_sources(_folder: str, names: list[str]) -> list[str]:
    return [name for name in names if "." in name and not name.endswith(".py")]


def _lint(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    return subprocess.run(
        [sys.executable, "-c", program, "--no-cache", "--no-logo", *arguments],
        cwd=tree, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


def test_every_contract_is_kept(tree: Path) -> None:
    result = _lint(tree)
    assert result.returncode == 0, result.stdout


def test_every_contract_has_its_planted_violation() -> None:
    assert PLANTED.keys() == CONTRACTS.keys()


@pytest.mark.parametrize("contract", PLANTED)
def test_a_planted_violation_fails(tree: Path, contract: str) -> None:
    file, line = PLANTED[contract]
    path = tree / file
    path.write_text(path.read_text() + f"\n{line}\n")
    result = _lint(tree, "--contract", contract)
    assert result.returncode == 1, result.stdout
    assert f"{CONTRACTS[contract]} BROKEN" in result.stdout


def _imports(path: Path) -> set[str]:
    """Top-level names of every module a file imports, the standard library apart."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names - sys.stdlib_module_names


def _may(file: str, patterns: str) -> bool:
    return any(fnmatch(file, pattern) for pattern in patterns.split())


@pytest.mark.parametrize("package", ALLOWED)
def test_a_package_imports_only_what_it_may(package: str) -> None:
    folder = ROOT / package
    strangers = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in folder.rglob("*.py")
        for name in _imports(path) - {package}
        if not _may(str(path.relative_to(folder)), ALLOWED[package].get(name, ""))
    }
    assert not strangers


def _modules(name: str) -> list[str]:
    path = ROOT / name.replace(".", "/")
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
    return [str(f.relative_to(ROOT).with_suffix("")).replace("/", ".") for f in files if f.exists()]


@pytest.mark.parametrize("name", NUMBA_FREE)
def test_a_fresh_interpreter_loads_no_numba(name: str) -> None:
    modules = [module for module in _modules(name) if not module.endswith("__init__")]
    assert modules, f"{name} is gone"
    _assert_free_of_numba(modules)


def test_a_benchmark_loads_no_numba_before_it_passes_the_gate() -> None:
    paths = sorted((ROOT / "bench").glob("*.py"))
    programs = [f"bench.{path.stem}" for path in paths if "__main__" in path.read_text()]
    assert "bench.scan" in programs
    _assert_free_of_numba(programs)


def _assert_free_of_numba(modules: list[str]) -> None:
    program = (
        f"import importlib, sys\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        f"sys.exit(str([m for m in ('numba', 'llvmlite') if m in sys.modules] or ''))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.stderr.strip() == "", result.stderr
