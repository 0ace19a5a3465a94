"""How far the samples are, as the ledger tells: whether each promise is kept, and the figures of the run."""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from tasks.call import ProviderCall
from tasks.events import InvalidEvent, parse_event
from tasks.outcome import State
from tasks.plan import Catalogue, plan_revocations
from worker.demo.samples import Expected, Fixtures, SampleEvent
from worker.ledger import CallRow, EventRow
from worker.sandbox.store import digest

REVOKED: Final = frozenset({State.ACCEPTED, State.CONFIRMED})  # by the worker's call, so the provider knows of it

Change = EventRow | CallRow


@dataclass(slots=True)
class Progress:
    """What is known of the *samples*."""

    samples: Sequence[SampleEvent]
    _taken_in: set[str] = field(default_factory=set)
    _rows: dict[str, dict[str, CallRow]] = field(init=False)  # event id → call or dead letter → its row

    def __post_init__(self) -> None:
        self._rows = {each.event_id: {} for each in self.samples}

    def learn(self, changes: Iterable[Change]) -> None:
        """Take in rows of the ledger."""
        for row in changes:
            known = self._rows.get(row.event_id or "")
            if known is None:
                continue  # somebody else's event
            if isinstance(row, EventRow):
                self._taken_in.add(row.event_id)
            else:
                known[row.call_id or row.dead_letter_id or ""] = row

    @property
    def rows(self) -> list[CallRow]:
        """Every row of the samples, as it stands."""
        return [row for each in self.samples for row in self.rows_of(each)]

    @property
    def open(self) -> list[SampleEvent]:
        """The samples that are still under way."""
        return [each for each in self.samples if not self._is_over(each)]

    def rows_of(self, sample: SampleEvent) -> list[CallRow]:
        """The rows of one sample."""
        return list(self._rows[sample.event_id].values())

    def broken_promises(self) -> list[str]:
        """A line for each sample for which the ledger shows something else than it promises."""
        return [
            f"{each.sample.title}: expected {', '.join(sorted(map(_promise, each.sample.expect)))}; "
            f"the ledger shows {', '.join(sorted(map(_fact, self.rows_of(each)))) or 'nothing'}"
            for each in self.samples
            if not _is_kept(each.sample.expect, self.rows_of(each))
        ]

    def _is_over(self, sample: SampleEvent) -> bool:
        rows = self.rows_of(sample)
        is_known = sample.event_id in self._taken_in or any(row.kind == "event" for row in rows)  # or refused
        return is_known and len(rows) >= len(sample.sample.expect) and not any(row.state.is_open for row in rows)


def _is_kept(promises: Sequence[Expected], rows: Sequence[CallRow]) -> bool:
    """Whether every row keeps one promise, and every promise is kept by one row."""
    left = list(rows)
    for promise in promises:
        keeper = next((row for row in left if _keeps(promise, row)), None)
        if keeper is None:
            return False
        left.remove(keeper)
    return not left


def _keeps(promise: Expected, row: CallRow) -> bool:
    return (
        (promise.provider, promise.outcome) == (row.provider, row.state)
        and promise.reason in {None, row.reason}
        and promise.attempts in {None, row.attempt}
        and (promise.seconds is None or (row.exposure_seconds or 0.0) >= promise.seconds)
    )


def _promise(promise: Expected) -> str:
    return _in_words((promise.provider, promise.outcome, promise.reason), promise.attempts, promise.seconds)


def _fact(row: CallRow) -> str:
    return _in_words((row.provider, row.state, row.reason), row.attempt, row.exposure_seconds)


def _in_words(what: Iterable[str | None], attempts: int | None, seconds: float | None) -> str:
    when = (f"at attempt {attempts}" if attempts else "", "" if seconds is None else f"after {seconds:.1f} s")
    return " ".join(filter(None, (*what, *when)))


@dataclass(frozen=True, slots=True)
class Summary:
    """What came of the published events.

    Exposure: seconds from an event's time to revoked, None without any. Calls that failed at first are counted apart:
    how long they take is what their samples provoke, and says nothing of how fast a call is.
    """

    events: int
    calls: Mapping[str, int]  # by outcome
    dead_letters: Mapping[str, int]  # by reason
    exposure_seconds: Mapping[str, float | None]  # p50, p95, p99 (nearest rank) of those revoked at the first attempt
    healed_by_retry: int  # those revoked at a later attempt
    healed_seconds: float | None  # the exposure of the slowest of them
    lost: int  # published, and neither settled nor dead


def summarise(published: Collection[str], closed: Collection[str], rows: Sequence[CallRow]) -> Summary:
    """The figures of the events *published*, of which those in *closed* are settled or dead, by their *rows*."""
    done = [row for row in rows if row.exposure_seconds is not None and row.state is not State.EXPIRED]
    at_once, healed = _exposures(done, first=True), _exposures(done, first=False)
    return Summary(
        events=len(published),
        calls=dict(sorted(Counter(row.state.value for row in rows if row.kind == "call").items())),
        dead_letters=dict(sorted(Counter(row.reason or "unknown" for row in rows if row.state is State.DEAD).items())),
        exposure_seconds={f"p{rank}": _percentile(at_once, rank) for rank in (50, 95, 99)},
        healed_by_retry=len(healed),
        healed_seconds=_percentile(healed, 100),
        lost=len(set(published) - set(closed)),
    )


def unproved_claims(
    rows: Iterable[CallRow], keys: Mapping[str, tuple[str, str]], revoked: Collection[tuple[str, str]]
) -> list[str]:
    """A line for each call that the ledger calls revoked, and of which the providers' journal knows nothing."""
    return [
        f"{row.provider} {row.operation} is {row.state} in the ledger, but the provider revoked nothing"
        for row in rows
        if row.state in REVOKED and row.call_id is not None and keys.get(row.call_id) not in revoked
    ]


def journal_keys(
    samples: Sequence[SampleEvent], fixtures: Fixtures, catalogue: Catalogue, now: datetime
) -> dict[str, tuple[str, str]]:
    """Under which provider and key the journal knows each call of the samples, by call id."""
    events = (parse_event(each.bodies[0], now=now) for each in samples)
    plans = (plan_revocations(event, catalogue) for event in events if not isinstance(event, InvalidEvent))
    return {call.call_id: (call.provider, _journal_key(call, fixtures)) for plan in plans for call in plan.calls}


def _journal_key(call: ProviderCall, fixtures: Fixtures) -> str:
    if call.user_id is not None:
        return call.user_id
    return digest(fixtures.sealed[call.jwe] if call.jwe else call.token_reference_id or "")


def _exposures(rows: Iterable[CallRow], *, first: bool) -> list[float]:
    return sorted(row.exposure_seconds or 0.0 for row in rows if (row.attempt <= 1) is first)


def _percentile(ordered: Sequence[float], rank: int) -> float | None:
    return round(ordered[max(0, math.ceil(len(ordered) * rank / 100) - 1)], 3) if ordered else None
