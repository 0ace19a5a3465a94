"""What the ledger answers with, and what it is asked by: plain values, times aware and in UTC."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Self

from tasks.outcome import State
from tasks.records import DeadLetter


class DeadLetterState(StrEnum):
    """Where a dead letter stands."""

    DEAD = "dead"
    CLAIMED = "claimed"  # a replay has it
    REPLAYED = "replayed"
    DISCARDED = "discarded"  # the tombstone stays
    WITHHELD = "withheld"  # not dead: part of a flood, waits for `revoker flood`


CLOSED: Final = (DeadLetterState.REPLAYED, DeadLetterState.DISCARDED)


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event that was taken in."""

    source: str
    event_id: str
    event_type: str
    subject: str
    occurred_at: datetime
    received_at: datetime
    change: int


@dataclass(frozen=True, slots=True)
class CallRow:
    """Where one part of an event stands: a provider call, or (*kind* unit, event, message) what never became one."""

    kind: str
    call_id: str | None
    source: str | None
    event_id: str | None
    event_type: str | None
    provider: str | None
    operation: str | None
    subject: str | None
    state: State
    reason: str | None
    detail: Mapping[str, str]
    attempt: int
    replays: int
    occurred_at: datetime | None
    at: datetime | None  # of the last record; None while there is none but the plan
    next_attempt_at: datetime | None
    duration_ms: float | None
    exposure_seconds: float | None  # event time → settled; None while the token may live
    dead_letter_id: str | None
    change: int
    target: str | None = None  # keyed hash of what it hits: equal, it is the same user or token
    person: str | None = None  # keyed hash of all names of the person: equal, every one of them agrees
    claimed_at: datetime | None = None  # of a dead letter: when its last replay began

    def is_since(self, letter: Self) -> bool:
        """Whether its last record came after the replay of *letter* began.

        By the ledger's count, or by clocks: an outcome may be recorded before the replay is.
        """
        began = letter.claimed_at
        return self.change > letter.change or (began is not None and self.at is not None and self.at >= began)


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """An attempt at a call that failed."""

    call_id: str
    replays: int  # the generation
    number: int  # within it, from 1
    at: datetime
    reason: str | None
    detail: Mapping[str, str]
    duration_ms: float | None  # None: not told


@dataclass(frozen=True, slots=True)
class DeadLetterHead:
    """A dead letter without what a replay needs."""

    dead_letter_id: str
    kind: str
    state: DeadLetterState
    call_id: str | None
    call_state: State | None  # settled: another delivery of the same call reached the goal
    source: str | None
    event_id: str | None
    event_type: str | None
    provider: str | None
    operation: str | None
    subject: str | None
    occurred_at: datetime | None
    reason: str
    first_reason: str
    first_at: datetime
    cause: str  # the fingerprint: groups what one remedy mends
    detail: Mapping[str, str]
    tries: int
    replays: int
    at: datetime  # of the last death
    claimed_at: datetime | None
    claimed_by: str | None
    audit_id: str | None
    target: str | None  # as of a call
    person: str | None
    is_replayable: bool  # whether it holds a call, or what arrived


@dataclass(frozen=True, slots=True)
class DeadLetterRow(DeadLetterHead):
    """A dead letter whole."""

    document: str = field(repr=False)
    arrived: str | None = field(repr=False)

    @property
    def letter(self) -> DeadLetter:
        """The dead letter whole, as a replay needs it."""
        return DeadLetter.of(self.document, self.arrived)


@dataclass(frozen=True, slots=True)
class DeadLetterFilter:
    """Which dead letters; everything given must hold. Without anything: all that are dead or claimed."""

    provider: str | None = None
    source: str | None = None
    event_type: str | None = None
    reason: str | None = None  # whole, or its leading parts: `http.4xx`, `event`
    cause: str | None = None
    subject: tuple[str, ...] = ()  # lookup hashes; one of them matches
    since: datetime | None = None  # of the last death
    until: datetime | None = None
    older_than: timedelta | None = None
    ids: tuple[str, ...] = ()  # prefixes; one of them matches
    states: tuple[DeadLetterState, ...] = (DeadLetterState.DEAD, DeadLetterState.CLAIMED)
    limit: int | None = None
    newest_first: bool = True
    behind: tuple[datetime, str] | None = None  # time of death and id of the last one of the page before


@dataclass(frozen=True, slots=True)
class DeadLetterSummary:
    """How many dead letters, since when, of how many causes."""

    count: int
    oldest_at: datetime | None
    causes: int


@dataclass(frozen=True, slots=True)
class Unproved:
    """How much is kept that is not proved: it has a budget."""

    letters: int
    size: int  # characters
