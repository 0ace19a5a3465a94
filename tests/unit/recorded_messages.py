"""Messages as the recorder gets them, and a ledger that does not take all."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tasks.call import Lane, ProviderCall
from tasks.providers import finbourne
from tasks.records import CallOutcome
from worker.broker.provenance import ProvenanceMac
from worker.recorder import Record

MAC = ProvenanceMac(b"subject-key-of-a-unit-test")
NOW = datetime(2026, 11, 21, 1, 20, tzinfo=UTC)
CALL = ProviderCall(
    call_id="c-1",
    source="urn:test",
    event_id="e-1",
    event_type="session.ended",
    occurred_at=NOW,
    deadline=NOW + timedelta(hours=1),
    provider="finbourne",
    operation=finbourne.INVALIDATE_TOKEN,
    lane=Lane.ROUTINE,
    subject="al…",
)


class Delivered:
    """A message as kombu hands it over."""

    def __init__(self, body: bytes, exchange: str, **headers: Any) -> None:
        self.body, self.headers = body, headers
        self.properties: dict[str, Any] = {}
        self.content_type: Any = "application/json"
        self.content_encoding = "utf-8"
        self.delivery_info = {"exchange": exchange}


class FussyLedger:
    """A ledger whose database never takes the record of one event, and says so with *fault*."""

    def __init__(self, fault: Exception) -> None:
        self.fault = fault
        self.taken: list[Record] = []
        self.asked = 0

    def upgrade(self) -> None:
        """Find everything in order."""

    def record(self, batch: Sequence[Record]) -> None:
        """Take all or nothing."""
        self.asked += 1
        if any(isinstance(record, CallOutcome) and record.event_id == "bad" for record in batch):
            raise self.fault
        self.taken += batch


def outcome_document() -> dict[str, Any]:
    """An outcome as the worker writes it."""
    shared = CALL.model_dump(
        mode="json", include={"call_id", "source", "event_type", "provider", "operation", "subject", "occurred_at"}
    )
    return {**shared, "kind": "outcome", "at": NOW.isoformat(), "state": "accepted", "attempt": 1, "replays": 0}
