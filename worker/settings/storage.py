"""How much the ledger keeps, and for how long."""

from __future__ import annotations

from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

CENTURY: Final = 36_500  # days


class StorageSettings(BaseModel):
    """What is kept for how long, and how much of what nobody proved."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False)

    events_days: float = Field(
        90.0, ge=1, le=CENTURY, description="Days an event is kept with its calls once all are settled or discarded"
    )
    letters_days: float = Field(
        90.0,
        ge=1,
        le=CENTURY,
        description="Days a dead letter is kept once it was replayed or discarded; else for ever",
    )
    audit_days: float = Field(
        730.0, ge=1, le=CENTURY, description="Days the audit is kept; not less than the two above"
    )
    unproved_letters: int = Field(
        10_000, ge=1, le=10_000_000, description="Unproved dead letters in the ledger; more wait in the broker"
    )
    unproved_megabytes: int = Field(
        256, ge=1, le=1_000_000, description="Megabytes of them; the limit that is reached first counts"
    )

    @model_validator(mode="after")
    def _tells_of_what_is_there(self) -> Self:
        if self.audit_days < max(self.events_days, self.letters_days):
            raise ValueError("audit_days must not be less than events_days or letters_days")
        return self
