"""Fault scenarios: what shall go wrong in a simulation, by name (`config/faults.yaml`)."""

from difflib import get_close_matches
from pathlib import Path

from pydantic import field_validator

from controller.settings.base import Settings, bounded, text
from controller.settings.document import SettingsError
from controller.settings.loader import load_settings


class FaultSettings(Settings):
    """One fault: at `at_s` of plant time, or so long after `at_sheet` sheets are laid."""

    kind: str = text(32)
    at_s: float = bounded(0.0, 1e7, default=0.0)
    at_sheet: int = bounded(0, 1_000_000_000, default=0)
    station: int = bounded(0, 7, default=0)
    index: int = bounded(0, 63, default=0)  # polarity, gripper, camera or axis, as the kind says
    duration_s: float = bounded(0.0, 1e6, default=0.0)  # 0: once, or for good
    magnitude: float = bounded(-1e6, 1e6, default=0.0)


class FaultScenarios(Settings):
    """A file of scenarios by name."""

    scenarios: dict[str, list[FaultSettings]]

    @field_validator("scenarios")
    @classmethod
    def _not_empty(
        cls, scenarios: dict[str, list[FaultSettings]]
    ) -> dict[str, list[FaultSettings]]:
        empty = [name for name, faults in scenarios.items() if not faults]
        if empty or not scenarios:
            raise ValueError(f"{', '.join(empty) or 'scenarios'}: no fault; name one or more")
        return scenarios


def load_scenarios(path: Path) -> dict[str, list[FaultSettings]]:
    """Load a file of fault scenarios; SettingsError holds every problem."""
    return load_settings(path, FaultScenarios).scenarios


def load_faults(source: str, shipped: Path) -> list[FaultSettings]:
    """The faults of a shipped scenario's name, or all those of a file."""
    named = load_scenarios(shipped)
    if source in named:
        return named[source]
    path = Path(source)
    if path.exists():
        return [fault for faults in load_scenarios(path).values() for fault in faults]
    close = get_close_matches(source, named, 1)
    meant = f"; did you mean {close[0]}?" if close else ""
    known = ", ".join(named)
    raise SettingsError([f"faults = {source}: neither a file nor a scenario of {known}{meant}"])
