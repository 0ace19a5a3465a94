"""How a kind of door looks at its source: a page at a time, from where the last look ended.

The process that sweeps does the rest, for all kinds alike: every event is safe before the place of the next look is
kept, one process at a time looks, and a source that refuses is left alone for as long as it asks.
"""

import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Protocol, runtime_checkable

from joserfc.jwk import KeySet

from tasks.doors.accounts import Accounts
from tasks.doors.door import ForeignEvent
from tasks.outcome import CredentialFault, Transient
from tasks.providers.answers import Answer
from tasks.providers.http import Edge


class PullFailed(Exception):  # noqa: N818 - what is the case
    """The source cannot be looked at now. Its *reason* is of a closed spelling and shows nothing of an answer."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        """*retry_after*: seconds for which the source asks to be left alone."""
        super().__init__(reason)
        self.reason, self.retry_after = reason, retry_after


@dataclass(frozen=True, slots=True)
class Reach:
    """What a kind has of the world outside."""

    edge: Edge
    keys: Callable[[bool], Awaitable[KeySet | None]]
    """The public keys of the door's issuer; True: one is missed. None where it has none, or they were never read."""


@dataclass(frozen=True, slots=True)
class Found:
    """What one look found."""

    events: tuple[ForeignEvent, ...]
    cursor: str = field(repr=False)  # where the next look begins; whatever it holds is encrypted where it is kept
    more: bool = False  # the source has more: look again at once
    refused: Mapping[str, int] = field(default_factory=dict)  # why → how many it did not take: never events
    news: object = field(default=None, repr=False)  # of a kind that keeps accounts: what `settle` is given


class Puller(Protocol):
    """The look of one door at its source. Made of the kind's own settings and a Reach, once in a process."""

    async def pull(self, cursor: str | None, now: datetime) -> Found:
        """Return what there is behind *cursor*; None: nobody ever looked. Raises PullFailed.

        It may be cancelled wherever it waits. The source is told what was taken by the *cursor* of the next look, and
        by nothing else: only then are the events safe.
        """

    async def close(self) -> None:
        """Let go of what was opened."""


@runtime_checkable
class AccountPuller(Puller, Protocol):
    """That of a kind that keeps accounts: what it changes, its events and the cursor are committed together."""

    def settle(self, news: object, accounts: Accounts, now: datetime) -> tuple[ForeignEvent, ...]:
        """Return the events of what *news* changes, with *accounts* changed. Raises PullFailed: nothing is changed."""


def answered(answer: Answer | Transient | CredentialFault, also: Collection[int] = ()) -> Answer:
    """Return *answer* where its status is 2xx or one of *also*. Raises PullFailed."""
    if not isinstance(answer, Answer):
        raise PullFailed(answer.reason, answer.retry_after if isinstance(answer, Transient) else None)
    if not (answer.is_success or answer.status in also):
        raise PullFailed(answer.reason, answer.retry_after if answer.retry_after is not None else _reset(answer))
    return answer


def _reset(answer: Answer) -> float | None:
    """Seconds until the moment that X-Rate-Limit-Reset names (Okta's: in seconds since 1970), by the source's clock."""
    written = answer.headers.get("X-Rate-Limit-Reset", "")
    if not (written.isascii() and written.isdigit() and len(written) <= len("9999999999")):
        return None
    try:
        now = parsedate_to_datetime(answer.headers.get("Date", "")).timestamp()
    except ValueError:
        now = time.time()
    return max(0.0, int(written) - now)
