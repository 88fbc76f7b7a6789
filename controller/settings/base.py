"""What every settings model shares: frozen, strict, no unknown key, every number bounded."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Settings(BaseModel):
    """A frozen part of a settings file: an unknown key or a text for a number is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def bounded(low: float, high: float, **more: Any) -> Any:
    """A required number within low to high, both included, in the unit that its key names."""
    return Field(ge=low, le=high, **more)


def text(length_max: int = 64, **more: Any) -> Any:
    """A required text of 1 to `length_max` characters."""
    return Field(min_length=1, max_length=length_max, **more)
