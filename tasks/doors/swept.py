"""Doors at whose source a process of ours looks by itself, beside what the source pushes or in its place."""

from enum import StrEnum

from pydantic import Field

from tasks.doors.settings import CommonDoorSettings
from tasks.tls import SYSTEM_TRUST, TlsSettings


class Finding(StrEnum):
    """What a look at the source found an event to be, for the metric."""

    KNOWN = "known"  # it came before
    MISSED = "missed"  # the push did not bring it, and had time enough
    EARLY = "early"  # the push did not bring it yet, and still may
    TAKEN = "taken"  # the source pushes nothing here
    REFUSED = "refused"  # the intake would take it for none


class SweptDoorSettings(CommonDoorSettings):
    """The settings that a door has whose kind can look at the source."""

    sweep_interval: float = Field(60.0, ge=0.1, le=86_400, description="Seconds between two looks at the source")
    sweep_grace: float = Field(
        60.0,
        ge=0,
        le=86_400,
        description="Seconds in which the source's own push must have come: what a look finds first that is older "
        "counts as missed",
    )
    sweep_timeout: float = Field(30.0, ge=0.1, le=600, description="Seconds for one answer of the source")
    tls: TlsSettings = SYSTEM_TRUST

    @property
    def is_swept(self) -> bool:
        """Whether the source is looked at."""
        return True
