"""The settings of the session registry."""

from datetime import timedelta

from pydantic import Field

from tasks.strict_model import StrictModel


class RegistrySettings(StrictModel):
    """The session registry: what `session.started` tells is kept, so that a person's sessions are found later.

    Off, a `session.started` and the ids of a `session.ended` are refused.
    """

    enabled: bool = Field(default=False, description="Keep the sessions of `session.started`, for what ends them later")
    max_of_person: int = Field(
        50, ge=1, le=1000, description="Sessions of one person that are kept; one more is a dead letter"
    )
    max_sessions: int = Field(
        1_000_000, ge=1, le=100_000_000, description="Sessions that are kept in all; one more is a dead letter"
    )
    max_days: float = Field(
        90.0,
        ge=1,
        le=366,
        description="Days a session without `expires_at` is kept; one that expires later is a dead letter",
    )
    leeway: float = Field(
        5.0,
        ge=0,
        le=300,
        description="Seconds a session may seem younger than the end of all its user's sessions, and end with them",
    )

    @property
    def longest(self) -> timedelta:
        """The longest life of a session."""
        return timedelta(days=self.max_days)
