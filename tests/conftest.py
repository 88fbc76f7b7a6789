"""Every test run: one printed seed; several workers: one cache of compiled code, filled before they start.

A single process uses numba's own cache, which is quicker while editing but does not see edited callees;
`make test` always keys the cache by the sources.
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

hypothesis.settings.register_profile("foldline", deadline=None, print_blob=True)
hypothesis.settings.load_profile("foldline")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Choose the seed of the property tests; with several workers, prepare their common cache."""
    if config.option.hypothesis_seed is None:
        config.option.hypothesis_seed = str(random.randrange(10**9))
    is_worker = hasattr(config, "workerinput")
    if is_worker or config.getoption("numprocesses", None):
        _share_cache(is_worker)


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say how this run can be repeated."""
    return [f"property tests: --hypothesis-seed={config.option.hypothesis_seed}"]


def _share_cache(is_worker: bool) -> None:
    cache = compile_gate.enter()
    if not is_worker:
        try:
            command = warm_up_command(CONFIG / "machine.yaml", CONFIG / "plant.yaml")
            compile_gate.warm_up(cache, command)
        except RuntimeError as error:
            pytest.exit(str(error), returncode=3)
    elif cache.writable:
        _save_one_at_a_time(cache.path / "tests.lock")


def _save_one_at_a_time(lock_path: Path) -> None:
    """numba numbers its data files without a lock: two workers could take the same number."""
    from numba.core.caching import IndexDataCacheFile

    save: Callable[..., Any] = IndexDataCacheFile.save

    def locked(*arguments: Any) -> None:
        with lock_path.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            save(*arguments)

    IndexDataCacheFile.save = locked
