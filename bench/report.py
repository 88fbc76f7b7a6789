"""What the benchmarks share: compiled code first, then a table for people or JSON for machines."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from controller.dry_cycle import warm_up_command
from controller.runtime import compile_gate

CONFIG = Path(__file__).resolve().parents[1] / "config"
MACHINE, PLANT = CONFIG / "machine.yaml", CONFIG / "plant.yaml"
RECIPE = CONFIG / "recipes" / "reference.yaml"


def parser(description: str) -> argparse.ArgumentParser:
    """Return a parser that knows --json."""
    arguments = argparse.ArgumentParser(description=description)
    arguments.add_argument("--json", action="store_true", help="print one JSON object")
    return arguments


def prepare() -> None:
    """Enter the compile gate and fill its folder; before anything imports numba."""
    folder = compile_gate.enter()
    compile_gate.warm_up(folder, warm_up_command(MACHINE, PLANT), _tell)


def _tell(count: int, name: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[Kcompiled {count} functions, now {name}")
        sys.stderr.flush()


def show(title: str, result: dict[str, Any], as_json: bool) -> None:
    """Print a result: as one JSON object, or a line for each value."""
    if as_json:
        print(json.dumps(result, allow_nan=False))
        return
    print(title)
    _print_group(result, "")


def _print_group(values: dict[str, Any], prefix: str) -> None:
    for key, value in values.items():
        if isinstance(value, dict):
            _print_group(value, f"{prefix}{key}.")
        else:
            text = f"{value:.4g}" if isinstance(value, float) else str(value)
            print(f"  {prefix + key:<36} {text}")
