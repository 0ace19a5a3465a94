"""Records of revocations: the messages on their way to the ledger, JSON without any usable secret."""

import hashlib
import json
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BeforeValidator, Field, TypeAdapter

from tasks.bounds import Count, Detail, Integer64, Measure, Moment, Name, SourceName, SubjectKey, Words
from tasks.call import Attempt, Operation, ProviderCall
from tasks.events.content_mode import MAX_BODY, is_text
from tasks.events.plaintext import is_plaintext
from tasks.outcome import SETTLED, SPARED, State
from tasks.strict_model import StrictModel

DEAD_LETTER_NAMESPACE: Final = uuid.UUID("d1f0a1b6-9a7e-5c53-8c0e-0b9f5a1c7e42")
_ARRIVED: Final = {"body", "content_type", "headers"}
LONGEST_CONTENT_TYPE: Final = 255  # bytes: AMQP's short string
LONGEST_BODY: Final = (MAX_BODY + 2) // 3 * 4  # of an event that could be taken in at all, in base64


class PlannedUnit(StrictModel):
    """One line of a plan: a call (`planned`), published or awaiting the one that covers it, or a unit without one."""

    call_id: Name
    provider: Name
    operation: Operation | None
    state: State
    reason: Name | None = None
    kid: Name | None = None  # of the sealing key that its call needs
    target_key: SubjectKey | None = None  # of its call; of a user who is enabled: of the calls that need not be made


class EventPlanned(StrictModel):
    """An event was taken in, and this is what becomes of it."""

    kind: Literal["planned"] = "planned"
    source: SourceName
    event_id: Name
    event_type: Name
    occurred_at: Moment
    received_at: Moment
    subject: Words
    subject_keys: tuple[SubjectKey, ...] = ()
    person_key: SubjectKey | None = None
    units: tuple[PlannedUnit, ...]


class CallOutcome(StrictModel):
    """The outcome of one attempt, or of one hold, at a call."""

    kind: Literal["outcome"] = "outcome"
    call_id: Name
    source: SourceName
    event_id: Name
    event_type: Name
    provider: Name
    operation: Operation
    subject: Words
    subject_keys: tuple[SubjectKey, ...] = ()
    person_key: SubjectKey | None = None
    target_key: SubjectKey | None = None
    occurred_at: Moment
    at: Moment
    state: State
    reason: Name | None = None
    detail: Detail = Field(default_factory=dict)
    attempt: Count
    replays: Count
    duration_ms: Measure | None = None  # of the provider call; None where none was made
    next_attempt_at: Moment | None = None

    @property
    def exposure_seconds(self) -> float | None:
        """Seconds from the event's time to the settled state; None while, or where, the token may still live."""
        return (self.at - self.occurred_at).total_seconds() if self.state in SETTLED - SPARED else None


def _storable_content_type(content_type: object) -> str | None:
    """Return None for one that must not be kept: too long, not Unicode, or with a token in clear."""
    if not isinstance(content_type, str) or len(content_type) > LONGEST_CONTENT_TYPE:
        return None
    return content_type if is_text(content_type) and not is_plaintext(content_type) else None


Body = Annotated[str, Field(max_length=LONGEST_BODY)]
"""Base64 of what arrived."""
ContentType = Annotated[str | None, BeforeValidator(_storable_content_type)]
Headers = dict[str, str | int | bool]


class DeadLetter(StrictModel):
    """Something that was given up, with its reason and all that is needed to replay it.

    kind `call`: *call* is the provider call as it was, sealed, with its attempts.
    kind `unit`: one provider's part of an event that cannot be resolved; *body* is the event, replayed for this
    provider alone. kind `event`: a refused event; *body* is what arrived, None where it held a token in clear.
    kind `message`: something in a task queue that is no provider call; *body* is what arrived.

    An event that was to reach one provider alone names it in *provider*.
    """

    kind: Literal["call", "unit", "event", "message"]
    dead_letter_id: Name
    reason: Name
    at: Moment
    detail: Detail = Field(default_factory=dict)  # e.g. pointer, provider's error code: never a value of the input
    source: SourceName | None = None
    event_id: Name | None = None
    event_type: Name | None = None
    provider: Name | None = None
    operation: Operation | None = None
    subject: Words | None = None
    subject_keys: tuple[SubjectKey, ...] = ()
    person_key: SubjectKey | None = None
    target_key: SubjectKey | None = None
    occurred_at: Moment | None = None
    call: ProviderCall | None = None
    body: Body | None = Field(default=None, repr=False)
    content_type: ContentType = None
    headers: Headers = Field(default_factory=dict)  # the CloudEvents headers of a binary-mode event
    body_sha256: Name | None = None
    body_size: Integer64 | None = None
    attempts: tuple[Attempt, ...] = ()
    replays: Count = 0
    unproved: bool = False  # no listed source is proved to say it: it has a budget
    redelivered: bool = False  # the broker delivered its message before: a letter of it may have been made already
    mac: Name | None = Field(default=None, repr=False)  # of the process that made it: a replay vouches for no other

    @property
    def arrived(self) -> str | None:
        """The message it was made of, as JSON: alike in every letter made of that message. None where none is kept."""
        return None if self.body is None else self.model_dump_json(include=_ARRIVED, exclude_defaults=True)

    @property
    def document(self) -> str:
        """The rest of it, as JSON."""
        return self.model_dump_json(exclude=None if self.body is None else _ARRIVED, exclude_defaults=True)

    @classmethod
    def of(cls, document: str, arrived: str | None) -> Self:
        """The letter of these two parts."""
        return cls.model_validate_json(document if arrived is None else f"{document[:-1]},{arrived[1:]}")


class DeadLetters(StrictModel):
    """Several dead letters of one message, which travels once: an event may name many unknown providers."""

    kind: Literal["letters"]
    body: Body = Field(repr=False)
    content_type: ContentType = None
    headers: Headers = Field(default_factory=dict)
    letters: Annotated[tuple[DeadLetter, ...], Field(min_length=1)]

    @classmethod
    def of(cls, letters: Sequence[DeadLetter]) -> Self:
        """Return one record of *letters*, all of which keep the same message."""
        arrived = letters[0].model_dump(include=_ARRIVED)
        nothing = {name: DeadLetter.model_fields[name].get_default(call_default_factory=True) for name in _ARRIVED}
        return cls(kind="letters", **arrived, letters=tuple(letter.model_copy(update=nothing) for letter in letters))

    def apart(self) -> list[DeadLetter]:
        """Each letter, whole."""
        arrived = {name: getattr(self, name) for name in _ARRIVED}
        return [letter.model_copy(update=arrived) for letter in self.letters]


DeadRecord = Annotated[DeadLetter | DeadLetters, Field(discriminator="kind")]
dead_record: Final[TypeAdapter[DeadLetter | DeadLetters]] = TypeAdapter(DeadRecord)
LedgerRecord = Annotated[EventPlanned | CallOutcome, Field(discriminator="kind")]


class Records(StrictModel):
    """Several records that one process published at once; each stands for itself."""

    kind: Literal["records"]
    records: Annotated[tuple[LedgerRecord, ...], Field(min_length=1)]


LedgerMessage = Annotated[EventPlanned | CallOutcome | Records, Field(discriminator="kind")]
ledger_record: Final[TypeAdapter[EventPlanned | CallOutcome]] = TypeAdapter(LedgerRecord)
ledger_message: Final[TypeAdapter[EventPlanned | CallOutcome | Records]] = TypeAdapter(LedgerMessage)


def parts(body: bytes) -> list[bytes]:
    """The JSON of each record in *body*, good or not; none where that is not like `Records`. Raises ValueError."""
    match json.loads(body):
        case {"kind": "records", "records": [*records]}:
            return [json.dumps(record).encode() for record in records]
    return []


def digest(*parts: bytes) -> str:
    """SHA-256 in hex over *parts*, each behind its length: no two sequences of parts run into the same bytes."""
    return hashlib.sha256(b"".join(len(part).to_bytes(8, "big") + part for part in parts)).hexdigest()


def dead_letter_id(*parts: str) -> str:
    """The identity of a dead letter: of a call's, its call id; of the rest, the digest of all that a replay would use.

    So a redelivery keeps one row, and no message takes the place of another one.
    """
    return str(uuid.uuid5(DEAD_LETTER_NAMESPACE, "\n".join(parts)))


# The fields of a call that every record about it repeats.
_OF_CALL: Final = ProviderCall.model_fields.keys() & CallOutcome.model_fields.keys() & DeadLetter.model_fields.keys()


def outcome_of_call(call: ProviderCall, state: State, at: datetime, attempt: int, **fields: Any) -> CallOutcome:  # noqa: ANN401 - as its fields
    """Return the outcome of attempt number *attempt* at *call*; *fields* are the rest of a `CallOutcome`."""
    return CallOutcome(call_id=call.call_id, state=state, at=at, attempt=attempt, **_about(call), **fields)


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


def covered_by(call: ProviderCall, outcome: CallOutcome) -> list[CallOutcome]:
    """The outcomes of the session calls that *call* covers, once *outcome* says that it killed their tokens."""
    detail = {"evidence": f"{call.operation} {outcome.detail.get('evidence', '')}".rstrip(), "covered_by": call.call_id}
    return [outcome_of_call(each, State.COVERED, outcome.at, 0, detail=detail) for each in call.covers]


def apart(letter: DeadLetter) -> list[DeadLetter]:
    """*letter*, and one for each session call that its call was to cover: nothing else will make these any more."""
    if letter.call is None or not letter.call.covers:
        return [letter]
    detail = {**letter.detail, "covered_by": letter.call.call_id}
    others = [dead_letter_of_call(each, letter.reason, letter.at, detail) for each in letter.call.covers]
    return [letter.model_copy(update={"call": letter.call.alone()}), *others]


def _about(call: ProviderCall) -> dict[str, Any]:
    return {name: getattr(call, name) for name in _OF_CALL}
