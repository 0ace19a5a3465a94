"""What is told of a revocation: the messages on their way to the ledger. JSON, no usable secret in any of them."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

from tasks.call import Attempt, Operation, ProviderCall
from tasks.events.plaintext import is_plaintext
from tasks.outcome import State

DEAD_LETTER_NAMESPACE: Final = uuid.UUID("d1f0a1b6-9a7e-5c53-8c0e-0b9f5a1c7e42")


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class PlannedUnit(_Record):
    """One line of a plan: a call that was published (`planned`), or a unit that needs none (`covered`, …)."""

    call_id: str
    provider: str
    operation: Operation | None
    state: State
    reason: str | None = None
    kid: str | None = None  # of the sealing key that its call needs
    target_key: str | None = None  # of its call


class EventPlanned(_Record):
    """An event was taken in, and this is what becomes of it."""

    kind: Literal["planned"] = "planned"
    source: str
    event_id: str
    event_type: str
    occurred_at: AwareDatetime
    received_at: AwareDatetime
    subject: str
    subject_keys: tuple[str, ...] = ()
    person_key: str | None = None
    units: tuple[PlannedUnit, ...]


class CallOutcome(_Record):
    """What one attempt (or one hold) at a call came to."""

    kind: Literal["outcome"] = "outcome"
    call_id: str
    source: str
    event_id: str
    event_type: str
    provider: str
    operation: Operation
    subject: str
    subject_keys: tuple[str, ...] = ()
    person_key: str | None = None
    target_key: str | None = None
    occurred_at: AwareDatetime
    at: AwareDatetime
    state: State
    reason: str | None = None
    detail: dict[str, str] = {}
    attempt: int
    replays: int
    duration_ms: float | None = None  # of the provider call; None where none was made
    next_attempt_at: AwareDatetime | None = None

    @property
    def exposure_seconds(self) -> float | None:
        """Seconds from the event's time to the settled state; None while the token may still live."""
        return (self.at - self.occurred_at).total_seconds() if self.state.is_settled else None


def _without_token(content_type: str | None) -> str | None:
    """Producers write it as they like; with a token in clear it is no content type, and must not be kept."""
    return None if content_type and is_plaintext(content_type) else content_type


class DeadLetter(_Record):
    """Something that was given up, with its reason and all that is needed to replay it.

    kind `call`: *call* is the provider call as it was, sealed, with its attempts.
    kind `unit`: one provider's part of an event that cannot be resolved; *body* is the event, replayed for this
    provider alone. kind `event`: a refused event; *body* is what arrived, None where it held a token in clear.
    kind `message`: something in a task queue that is no call of ours; *body* is what arrived.
    """

    kind: Literal["call", "unit", "event", "message"]
    dead_letter_id: str
    reason: str
    at: AwareDatetime
    detail: dict[str, str] = {}  # e.g. pointer, provider's error code: never a value of the input
    source: str | None = None
    event_id: str | None = None
    event_type: str | None = None
    provider: str | None = None
    operation: Operation | None = None
    subject: str | None = None
    subject_keys: tuple[str, ...] = ()
    person_key: str | None = None
    target_key: str | None = None
    occurred_at: AwareDatetime | None = None
    call: ProviderCall | None = None
    body: str | None = Field(default=None, repr=False)  # base64
    content_type: Annotated[str | None, AfterValidator(_without_token)] = None
    headers: dict[str, str | int | bool] = {}  # the CloudEvents headers of a binary-mode event
    body_sha256: str | None = None
    body_size: int | None = None
    attempts: tuple[Attempt, ...] = ()
    replays: int = 0


LedgerRecord = Annotated[EventPlanned | CallOutcome, Field(discriminator="kind")]
ledger_record: Final[TypeAdapter[EventPlanned | CallOutcome]] = TypeAdapter(LedgerRecord)


def dead_letter_id(*parts: str) -> str:
    """The identity of a dead letter: of a call's, its call id; of the rest, what arrived. Redelivery keeps one row."""
    return str(uuid.uuid5(DEAD_LETTER_NAMESPACE, "\n".join(parts)))


# What every record about a call repeats of it.
_OF_CALL: Final = (
    "source",
    "event_id",
    "event_type",
    "provider",
    "operation",
    "subject",
    "subject_keys",
    "person_key",
    "target_key",
    "occurred_at",
    "replays",
)


def outcome_of_call(call: ProviderCall, state: State, at: datetime, attempt: int, **told: Any) -> CallOutcome:  # noqa: ANN401 - as its fields
    """What attempt number *attempt* at *call* came to; *told* is the rest of a `CallOutcome`."""
    return CallOutcome(call_id=call.call_id, state=state, at=at, attempt=attempt, **_about(call), **told)


def dead_letter_of_call(
    call: ProviderCall, reason: str, at: datetime, detail: dict[str, str] | None = None
) -> DeadLetter:
    """The dead letter of *call*, given up for *reason*."""
    return DeadLetter(
        kind="call",
        dead_letter_id=dead_letter_id(call.call_id),
        reason=reason,
        at=at,
        detail=detail or {},
        call=call,
        attempts=call.attempts,
        **_about(call),
    )


def _about(call: ProviderCall) -> dict[str, Any]:
    return {name: getattr(call, name) for name in _OF_CALL}
