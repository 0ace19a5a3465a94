"""The figures of a run, and the comparison with what the providers saw."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from tasks.events import InvalidEvent, parse_event
from tasks.outcome import State
from tasks.plan import plan_revocations
from worker.sandbox.store import digest

if TYPE_CHECKING:
    from datetime import datetime

    from tasks.call import ProviderCall
    from tasks.plan import Catalogue
    from worker.demo.samples import Cast, Staged
    from worker.ledger import CallRow

REVOKED: Final = frozenset({State.ACCEPTED, State.CONFIRMED})  # by a call of ours, so the provider knows of it


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

    def document(self) -> dict[str, Any]:
        """The figures as JSON."""
        return asdict(self)


def summarised(published: Collection[str], closed: Collection[str], rows: Iterable[CallRow]) -> Summary:
    """The figures of the events *published*, of which those in *closed* are settled or dead, as *rows* tell."""
    lines = list(rows)
    done = [row for row in lines if row.exposure_seconds is not None and row.state is not State.EXPIRED]
    at_once, healed = _exposures(done, first=True), _exposures(done, first=False)
    return Summary(
        events=len(published),
        calls=_counted(row.state.value for row in lines if row.kind == "call"),
        dead_letters=_counted(row.reason or "unknown" for row in lines if row.state is State.DEAD),
        exposure_seconds={f"p{rank}": _percentile(at_once, rank) for rank in (50, 95, 99)},
        healed_by_retry=len(healed),
        healed_seconds=_percentile(healed, 100),
        lost=len(set(published) - set(closed)),
    )


def unproved(
    rows: Iterable[CallRow], keys: Mapping[str, tuple[str, str]], revoked: Collection[tuple[str, str]]
) -> list[str]:
    """A line for each call that the ledger calls revoked, and of which the providers' journal knows nothing."""
    claims = [row for row in rows if row.state in REVOKED and row.call_id is not None]
    return [
        f"{row.provider} {row.operation} is {row.state} in the ledger, but the provider revoked nothing"
        for row in claims
        if keys.get(row.call_id or "") not in revoked
    ]


def journal_keys(
    staged: Sequence[Staged], cast: Cast, catalogue: Catalogue, now: datetime
) -> dict[str, tuple[str, str]]:
    """Under which provider and key the journal knows each call of the samples, by call id."""
    events = (parse_event(each.bodies[0], now=now) for each in staged)
    plans = (plan_revocations(event, catalogue) for event in events if not isinstance(event, InvalidEvent))
    return {call.call_id: (call.provider, _key(call, cast)) for plan in plans for call in plan.calls}


def _key(call: ProviderCall, cast: Cast) -> str:
    if call.user_id is not None:
        return call.user_id
    return digest(cast.sealed[call.jwe] if call.jwe else call.token_reference_id or "")


def _counted(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def _exposures(rows: Iterable[CallRow], *, first: bool) -> list[float]:
    return sorted(row.exposure_seconds or 0.0 for row in rows if (row.attempt <= 1) is first)


def _percentile(ordered: Sequence[float], rank: int) -> float | None:
    return round(ordered[max(0, math.ceil(len(ordered) * rank / 100) - 1)], 3) if ordered else None
