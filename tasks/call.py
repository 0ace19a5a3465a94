"""The provider call: one operation at one provider for one unit of one event, and the attempts made at it."""

import hashlib
import re
import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, StringConstraints

from tasks.bounds import Count, Detail, Moment, Name, SourceName, SubjectKey, Words
from tasks.instants import after
from tasks.outcome import Settled, State
from tasks.strict_model import StrictModel

MAX_COVERED: Final = 16  # as many sessions as an event may list
MAX_LISTED: Final = 500  # calls that become of one that lists what is left
CALL_NAMESPACE: Final = uuid.UUID("6f3f2f0e-52f4-5d2b-9a53-5a8f1f4f2a11")  # fixed for ever: ids derive from it
UUID_FORM: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)

Operation = Annotated[str, Field(max_length=64, pattern=r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$")]
"""A provider's operation, declared by its kind; also the name of its Celery task, e.g. `genesys.delete_token`."""
Target = tuple[str, str, str]  # provider instance, "user" or "token", which one


class Lane(StrEnum):
    """Urgent never waits behind routine: each provider has a queue for each."""

    URGENT = "urgent"
    ROUTINE = "routine"


class Attempt(StrictModel):
    """One try at a call that did not settle it."""

    at: Moment
    reason: Name
    detail: Detail = Field(default_factory=dict)
    delay: Count | None = None  # seconds waited afterwards


def _covering_nothing(calls: tuple["ProviderCall", ...]) -> tuple["ProviderCall", ...]:
    if any(call.covers for call in calls):
        raise ValueError("a covered call covers nothing itself")
    return calls


class Known(StrictModel):
    """The outcome of a call that was made and is not yet recorded."""

    at: Moment
    state: State
    evidence: Words
    detail: Detail = Field(default_factory=dict)


class ProviderCall(StrictModel):
    """A provider call, as it travels to the worker in a task. Holds no usable token: credentials stay sealed."""

    call_id: Name
    source: SourceName
    event_id: Name
    event_type: Name
    occurred_at: Moment
    deadline: Moment  # no attempt is scheduled beyond it
    planned_at: Moment | None = None  # by our own clock; None: by a version that did not write it
    provider: Name  # the instance's name, e.g. "genesys-eu"
    operation: Operation
    lane: Lane
    subject: Words  # masked, for people
    subject_keys: tuple[SubjectKey, ...] = ()  # keyed hashes, for looking up
    person_key: SubjectKey | None = None  # keyed hash of all names of the person together: equal where all agree
    target_key: SubjectKey | None = None  # keyed hash of `target`
    user_id: Annotated[str, StringConstraints(max_length=128)] | None = Field(default=None, repr=False)
    jwe: str | None = Field(default=None, repr=False)
    token_reference_id: str | None = Field(default=None, repr=False)
    item_id: Annotated[str, StringConstraints(max_length=128)] | None = Field(default=None, repr=False)
    """Of a call for one item of a list, e.g. a session of its user: the provider's id of that, which is no secret."""

    expires_at: Moment | None = None  # when the token dies by itself
    traceparent: str | None = None
    attempts: tuple[Attempt, ...] = ()
    replays: Count = 0
    covers: Annotated[tuple["ProviderCall", ...], Field(max_length=MAX_COVERED), AfterValidator(_covering_nothing)] = ()
    """Of a call that kills every token of a user: the session calls it stands for until it is known what it came to."""

    listed: Annotated[tuple[Name, ...], Field(max_length=MAX_LISTED)] = ()
    """Of a call that lists what is left: the calls for items that were published already."""

    known: Known | None = None  # then it is not made again: its record is all that is missing

    @property
    def target(self) -> Target | None:
        """Return the target: every token of the provider's user, or the one token of its credential.

        Two calls with one target kill the same. None where the call holds neither a user id nor a credential. A UUID
        is the same in either case (RFC 9562, section 4); other ids are compared as they are.
        """
        if self.item_id is not None:
            return self.provider, "token", self.item_id
        if self.user_id is not None:
            return self.provider, "user", self.user_id.lower() if UUID_FORM.fullmatch(self.user_id) else self.user_id
        credential = self.jwe or self.token_reference_id
        return (self.provider, "token", credential) if credential else None

    @property
    def attempt(self) -> int:
        """The number of the attempt to be made now, from 1."""
        return len(self.attempts) + 1

    def after(self, attempt: Attempt) -> Self:
        """The same call with one more failed attempt behind it."""
        return self.model_copy(update={"attempts": (*self.attempts, attempt)})

    def of_items(self, operation: Operation, items: Iterable[str]) -> list[Self]:
        """The calls of *operation* for those *items* of its list that have none yet; as many as there is room for.

        An item always has the same call: listed again it is the same row, and no second one.
        """
        fresh = {"operation": operation, "target_key": None, "attempts": (), "covers": (), "listed": ()}
        ids = {call_id(self.source, self.event_id, self.provider, operation, fingerprint(each)): each for each in items}
        new = {name: each for name, each in ids.items() if name not in self.listed}
        made = [self.model_copy(update={**fresh, "call_id": name, "item_id": each}) for name, each in new.items()]
        return made[: MAX_LISTED - len(self.listed)]

    def having(self, calls: Iterable["ProviderCall"]) -> Self:
        """The same call, after *calls* for items of its list were published."""
        return self.model_copy(update={"listed": (*self.listed, *(each.call_id for each in calls))})

    def knowing(self, outcome: Settled, at: datetime) -> Self:
        """The same call, made: what remains is to record that its *outcome* came at that moment."""
        known = Known(at=at, state=outcome.state, evidence=outcome.evidence, detail=dict(outcome.detail))
        return self.model_copy(update={"known": known})

    def alone(self) -> Self:
        """The same call, standing for itself only: the session calls it covered are made on their own now."""
        return self.model_copy(update={"covers": ()})

    def replayed(self, now: datetime, budget: timedelta) -> Self:
        """The same call, to be tried afresh: attempts and covered session calls stay with the dead letter."""
        fresh = {"replays": self.replays + 1, "deadline": after(now, budget), "planned_at": now}
        return self.model_copy(update={"attempts": (), "covers": (), "listed": (), **fresh})


def call_id(source: str, event_id: str, provider: str, operation: str, unit: str) -> str:
    """The identity of a call (a UUID): the same event, provider, operation and unit always give the same one.

    So redelivery and replay update one ledger row and never double the work.
    """
    return str(uuid.uuid5(CALL_NAMESPACE, f"{source}\n{event_id}\n{provider}\n{operation}\n{unit}"))


def fingerprint(value: str) -> str:
    """Return 32 hex digits of SHA-256 that stand for a credential and reveal nothing of it."""
    return hashlib.sha256(value.encode()).hexdigest()[:32]
