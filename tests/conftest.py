"""Every test run: one printed seed, and compiled code that fits the sources, however pytest was started.

Several workers find their common cache filled; a single process compiles only what its tests need.
"""

import fcntl
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from controller.dry_cycle import warm_up_command
from controller.runtime import compile_gate

CONFIG = Path(__file__).resolve().parents[1] / "config"

# How slow this machine is today says nothing of the code.
hypothesis.settings.register_profile(
    "foldline",
    deadline=None,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("foldline")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Choose the seed of the property tests, and pass the compile gate."""
    if config.option.hypothesis_seed is None:
        config.option.hypothesis_seed = str(random.randrange(10**9))
    cache = compile_gate.enter()
    if config.getoption("numprocesses", None):
        _fill(cache)
    elif cache.writable:
        _save_one_at_a_time(cache.path / "tests.lock")


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say how this run can be repeated."""
    return [f"property tests: --hypothesis-seed={config.option.hypothesis_seed}"]


def _fill(cache: compile_gate.CacheFolder) -> None:
    try:
        command = warm_up_command(CONFIG / "machine.yaml", CONFIG / "plant.yaml")
        compile_gate.warm_up(cache, command)
    except RuntimeError as error:
        pytest.exit(str(error), returncode=3)


def _save_one_at_a_time(lock_path: Path) -> None:
    """numba numbers its data files without a lock: two workers could take the same number."""
    from numba.core.caching import IndexDataCacheFile

    save: Callable[..., Any] = IndexDataCacheFile.save

    def locked(*arguments: Any) -> None:
        with lock_path.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            save(*arguments)

    IndexDataCacheFile.save = locked
