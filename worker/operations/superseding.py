"""Which calls are not proved, and which are needless: a later call killed the same, or the user is enabled again."""

import functools
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

from tasks.doubt import DIED, EARLIER_ATTEMPT, TokenAnswer, are_doubtful, between_proofs
from tasks.events import USER_DISABLED
from tasks.outcome import State
from tasks.providers import KINDS
from worker.ledger import CallRow, DeadLetterRow

# Not `covered`, `no_session_known` or `expired`: those settle their own unit and prove nothing of another's.
_PROVEN: Final = frozenset({State.ACCEPTED, State.CONFIRMED, State.ALREADY_REVOKED})
# Not `already_revoked`: of a user-wide call it may say that nobody has this user id, so it killed nothing.
_KILLED: Final = frozenset({State.ACCEPTED, State.CONFIRMED})


class Calls(Protocol):
    """What is asked of the ledger."""

    def answers_around(self, provider: str, at: datetime) -> list[TokenAnswer]:
        """Return what *provider* answered about tokens around *at*."""

    def calls_alike(self, *, target: str | None = None, person: str | None = None) -> list[CallRow]:
        """Return the calls that hit the same user or token, or of which every name agrees."""


def unproved(ledger: Calls) -> Callable[[CallRow], bool]:
    """Return a test for rows that are not proved; it asks *ledger* once for each moment of each instance.

    Where the ledger knows why the token was dead already, the provider need not be believed. An earlier attempt without
    an answer explains it only if that attempt went to the right place.
    """

    @functools.cache
    def is_in_doubt(provider: str, at: datetime) -> bool:
        return are_doubtful(between_proofs(at, ledger.answers_around(provider, at)))

    def is_unproved(row: CallRow) -> bool:
        if row.state is not State.ALREADY_REVOKED or row.provider is None or row.at is None:
            return False
        return row.detail.get(DIED, EARLIER_ATTEMPT) == EARLIER_ATTEMPT and is_in_doubt(row.provider, row.at)

    return is_unproved


def superseding(calls: Calls) -> Callable[[CallRow | DeadLetterRow], bool]:
    """Return a test for rows that a later call superseded; it asks *calls* once for each target and person.

    A call that is itself not proved proves nothing about another.
    """
    is_unproved = unproved(calls)
    of_target = functools.cache(lambda key: _of_state(calls.calls_alike(target=key), _PROVEN))
    of_person = functools.cache(lambda key: _of_state(calls.calls_alike(person=key), _KILLED))

    def is_superseded(row: CallRow | DeadLetterRow) -> bool:
        later = (*(of_target(row.target) if row.target else ()), *(of_person(row.person) if row.person else ()))
        return any(supersedes(call, row) and not is_unproved(call) for call in later)

    return is_superseded


def taken_back(calls: Calls) -> Callable[[CallRow | DeadLetterRow], bool]:
    """Return a test for rows whose source has enabled the user again; it asks *calls* once for each user.

    That a call is needless does not say that anything is dead: whom it was to log out may be logged in.
    """
    of_target = functools.cache(lambda key: _of_state(calls.calls_alike(target=key), frozenset({State.ENABLED})))

    def is_taken_back(row: CallRow | DeadLetterRow) -> bool:
        if row.target is None or row.event_type != USER_DISABLED or not _is_user_wide(row):
            return False
        return any(takes_back(enabled, row) for enabled in of_target(row.target))

    return is_taken_back


def takes_back(enabled: CallRow, row: CallRow | DeadLetterRow) -> bool:
    """Whether *enabled* says that the user whom *row* was to log out was enabled later, by the same source.

    By the user's id at the same instance; at the same moment, or where a time is not known, the user is disabled.
    The workers go by the same (`EnabledRow.enabled_at`).
    """
    if enabled.occurred_at is None or enabled.at is None or row.occurred_at is None:
        return False
    same = (enabled.source, enabled.provider, enabled.target) == (row.source, row.provider, row.target)
    return same and enabled.state is State.ENABLED and min(enabled.occurred_at, enabled.at) > row.occurred_at


def supersedes(call: CallRow, row: CallRow | DeadLetterRow) -> bool:
    """Whether *call*, of a later event, is known to have killed what *row* was to revoke.

    It has where both hit the same user or token. Where *row* was to revoke a session, a user-wide call at its provider
    has as well, if each name that either event gives the person is in the other one, too, and both are of one source:
    whose names they are is its word alone, and nobody else's event may keep a session alive by them.
    """
    if call.provider != row.provider or not _is_later(call, row):
        return False
    if call.target is not None and call.target == row.target:
        return call.state in _PROVEN
    killed_all = _is_user_wide(call) and call.state in _KILLED
    is_same_person = row.person is not None and (call.person, call.source) == (row.person, row.source)
    return killed_all and is_same_person and not _is_user_wide(row)


def _is_user_wide(row: CallRow | DeadLetterRow) -> bool:
    """Whether it was to kill every token of a user: what else was to be revoked for the user there dies with them."""
    return any(kind.user and kind.user.operation == row.operation for kind in KINDS.values())


def _is_later(call: CallRow, row: CallRow | DeadLetterRow) -> bool:
    """By the producers' times and by ours: a call sent before *row*'s event happened may have left its token alive."""
    if call.occurred_at is None or row.occurred_at is None or call.at is None:
        return False
    sent_at = call.at - timedelta(milliseconds=call.duration_ms or 0.0)
    return min(call.occurred_at, sent_at) > row.occurred_at


def _of_state(calls: Sequence[CallRow], states: frozenset[State]) -> tuple[CallRow, ...]:
    return tuple(call for call in calls if call.state in states)
