"""How much the ledger keeps and for how long, as the operator says it, and who sees to it."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

if TYPE_CHECKING:
    from worker.ledger.retention import Horizons

logger = logging.getLogger(__name__)

CENTURY: Final = 36_500  # days
REST: Final = 600.0  # seconds until it is looked again for what is old, once there is nothing left
TRY_AGAIN: Final = 60.0  # seconds, where the ledger is away


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

    def horizons(self, now: datetime) -> Horizons:
        """What is over since before these times is old at *now*."""
        from worker.ledger.retention import Horizons  # noqa: PLC0415 - settings are read by who needs no database

        days = self.events_days, self.letters_days, self.audit_days
        return Horizons(*(now - timedelta(days=each) for each in days))


class Forgetful(Protocol):
    """What tidying needs of the ledger."""

    def forget(self, horizons: Horizons) -> int:
        """Remove some of what is old; how many rows that were."""


class Tidying:
    """Has the ledger forget what is old, a step at a time: what is to be written waits for one step at most."""

    def __init__(self, ledger: Forgetful, storage: StorageSettings) -> None:
        self._ledger, self._storage = ledger, storage
        self._removed = 0
        self._at = 0.0

    def step(self) -> None:
        """Do the next step, if it is time. Raises LedgerUnavailable, and then rests."""
        if time.monotonic() < self._at:
            return
        self._at = time.monotonic() + TRY_AGAIN
        removed = self._ledger.forget(self._storage.horizons(datetime.now(UTC)))
        self._removed += removed
        self._at = 0.0 if removed else time.monotonic() + REST
        if self._removed and not removed:
            logger.info("ledger.tidied", extra={"rows": self._removed})
            self._removed = 0
