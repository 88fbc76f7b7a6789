"""The `opcua:` section of the machine file: where the plant's server listens and what it allows."""

from pydantic import BaseModel, ConfigDict, Field


class OpcUaSettings(BaseModel):
    """How the plant reaches the machine; the defaults serve the local host only."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field(default="127.0.0.1", min_length=1, max_length=253)
    port: int = Field(default=4840, ge=0, le=65535)
    publishing_period_s: float = Field(default=0.2, ge=0.02, le=10.0)
    session_timeout_s: float = Field(default=60.0, ge=5.0, le=60.0)
    sessions_max: int = Field(default=50, ge=1, le=200)
    sessions_per_user_max: int = Field(default=10, ge=1, le=200)
    subscriptions_max: int = Field(default=250, ge=1, le=2000)
    items_max: int = Field(default=60_000, ge=100, le=500_000)
    items_per_subscription_max: int = Field(default=2000, ge=1, le=20_000)
    history_days: float = Field(default=30.0, ge=0.0, le=3650.0)
