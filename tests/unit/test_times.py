"""Times are somebody else's word: from one end of the calendar to the other, none of them stops or spares a call."""

import json
from dataclasses import fields
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from importlib import resources
from typing import Any, Self, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recording_runtime import NOW, RecordingRuntime, call

from tasks.call import Attempt, Lane, ProviderCall
from tasks.events import InvalidEvent, parse_event
from tasks.events.model import SessionEnded
from tasks.instants import FIRST, LAST, after, before, expiry_of
from tasks.outcome import Reason, Settled, State, Transient
from tasks.plan import Catalogue, Instance, plan_revocations
from tasks.providers import KINDS
from tasks.records import CallOutcome, DeadLetter, dead_letter_of_call, outcome_of_call
from tasks.revocations import revoke
from tasks.subject_index import SubjectIndex
from worker.broker.provenance import ProvenanceMac
from worker.intake.dedup import Deduplicator, IncomingEvent
from worker.ledger import DeadLetterRow, DeadLetterState
from worker.operations.replay_rules import plan_replay
from worker.operations.republishing import replay_message

THOROUGH = settings(max_examples=200, deadline=None, database=None)
SHORT = timedelta(hours=24)
DONE = Settled(State.ACCEPTED, "204")
CATALOGUE = Catalogue(
    {name: Instance(name, kind) for name, kind in KINDS.items()},
    dict.fromkeys(Lane, timedelta(days=3)),
    SubjectIndex(b"k" * 32),
)
OFFSETS = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
ENDS = [datetime.min, datetime.min + timedelta(minutes=5), datetime.max - timedelta(minutes=5), datetime.max]  # noqa: DTZ901 - made aware below
INSTANTS = st.builds(datetime.replace, st.datetimes() | st.sampled_from(ENDS), tzinfo=OFFSETS | st.just(UTC))
MOMENTS = st.builds(datetime.replace, st.datetimes() | st.sampled_from(ENDS), tzinfo=st.just(UTC))
SPANS = st.timedeltas() | st.sampled_from([timedelta.min, timedelta(), timedelta.max])
NEVER = ["9999-12-31T23:59:59Z", "9999-12-31T23:59:59.9999999Z", "9999-12-31T22:59:59-00:59", "9999-12-31t23:55:00z",
         "9999-12-31T23:59:59.999999999+00:00", "9999-01-01T00:00:00+14:00"]  # fmt: skip
UNSET = ["0001-01-01T00:00:00Z", "0001-01-01T14:00:00+14:00", "1601-01-01T00:00:00Z", "1753-01-01T00:00:00Z",
         "1899-12-30T00:00:00Z", "1900-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "1969-12-31T23:59:59-01:00",
         "1980-01-06T00:00:00Z", "2000-01-01T00:00:00Z", "2001-01-01T00:00:00Z"]  # fmt: skip


def ended(now: datetime = NOW, **session: str) -> SessionEnded | InvalidEvent:
    """Parse a session.ended of a minute ago, whose one session has these members besides."""
    told = json.loads((resources.files("tasks") / "contracts" / "session.ended.json").read_bytes())
    told["time"] = (now - timedelta(minutes=1)).isoformat()
    told["data"]["sessions"] = [told["data"]["sessions"][0] | session]
    return cast("SessionEnded | InvalidEvent", parse_event(json.dumps(told).encode(), now=now))


async def requests(event: SessionEnded | InvalidEvent) -> int:
    """How often the provider is asked for the event's one session."""
    assert isinstance(event, SessionEnded)
    [planned] = plan_revocations(event, CATALOGUE).calls
    runtime = RecordingRuntime(DONE)
    await revoke(runtime, ProviderCall.model_validate_json(planned.model_dump_json()))
    return runtime.executed


@given(INSTANTS, SPANS)
def test_no_sum_leaves_the_calendar(instant: datetime, span: timedelta) -> None:
    """It ends where the calendar does, on the right side."""
    later, earlier = after(instant, span), before(instant, span)
    assert FIRST <= later.replace(tzinfo=UTC) <= LAST
    assert FIRST <= earlier.replace(tzinfo=UTC) <= LAST
    assert (later - instant >= timedelta(days=-1)) if span >= timedelta() else (later - instant <= timedelta(days=1))
    assert (earlier - instant <= timedelta(days=1)) if span >= timedelta() else (earlier - instant >= timedelta(-1))


@pytest.mark.parametrize("expires_at", [*NEVER, *UNSET])
async def test_a_token_that_never_expires_and_one_of_unset_expiry_are_revoked(expires_at: str) -> None:
    """`Never` is the last day of the calendar, and `not set` the first one of somebody's: neither spares a token."""
    assert await requests(ended(expires_at=expires_at)) == 1


@given(st.datetimes(min_value=(NOW - timedelta(minutes=5)).replace(tzinfo=None)))
@THOROUGH
async def test_whatever_expires_in_the_future_is_asked_for_exactly_once(moment: datetime) -> None:
    """The property behind the examples."""
    assert await requests(ended(expires_at=moment.isoformat() + "Z")) == 1


@pytest.mark.parametrize(
    ("before_event", "expected"),
    [
        (timedelta(minutes=5), 0),
        (timedelta(minutes=5, microseconds=1), 1),
        (timedelta(minutes=15), 1),  # as far as the nearest time zone is
        (timedelta(hours=8), 1),
        (timedelta(days=3), 1),
    ],
)
async def test_an_expiry_before_the_event_spares_no_token(before_event: timedelta, expected: int) -> None:
    """It was never set, or is local time written as UTC. The cheap mistake is a call too many."""
    runtime, happened = RecordingRuntime(DONE), NOW - timedelta(minutes=10)
    await revoke(runtime, call(occurred_at=happened, expires_at=happened - before_event))
    assert runtime.executed == expected


@pytest.mark.parametrize("expirytime", [*NEVER, *UNSET])
def test_an_event_that_never_expires_or_of_unset_expiry_is_taken(expirytime: str) -> None:
    """Its calls get the whole budget, too."""
    told = json.loads((resources.files("tasks") / "contracts" / "session.ended.json").read_bytes())
    happened = datetime.fromisoformat(told["time"])
    event = parse_event(json.dumps({**told, "expirytime": expirytime}).encode(), now=happened)
    assert isinstance(event, SessionEnded)
    assert {each.deadline for each in plan_revocations(event, CATALOGUE).calls} == {happened + timedelta(days=3)}


@given(INSTANTS, INSTANTS)
def test_no_expiry_of_an_event_of_any_time_raises(stated: datetime, happened: datetime) -> None:
    """Either word may be nonsense; an expiry that is believed is the one that was stated."""
    assert expiry_of(stated, happened) in {None, stated}


CALLS = st.builds(
    lambda happened, deadline, expires_at, tried: call(
        occurred_at=happened,
        deadline=deadline,
        expires_at=expires_at,
        attempts=(Attempt(at=tried, reason=Reason.HTTP_5XX),),
    ),
    *[MOMENTS] * 2,
    MOMENTS | st.none(),
    MOMENTS,
)


@given(CALLS, st.sampled_from([DONE, Transient(Reason.HTTP_5XX)]))
@THOROUGH
async def test_no_time_in_a_call_keeps_it_from_an_end(made: ProviderCall, answer: Settled | Transient) -> None:
    """Settled, tried again or dead: never an exception, which would make the broker deliver it for ever."""
    again = ProviderCall.model_validate_json(made.model_dump_json())
    runtime = RecordingRuntime(answer)
    assert await revoke(runtime, again) in {State.ACCEPTED, State.EXPIRED, State.RETRYING, State.DEAD}
    assert len(runtime.settled) == 1


@given(CALLS, MOMENTS, SPANS)
@THOROUGH
def test_no_time_in_a_record_a_letter_or_a_replay_raises(made: ProviderCall, at: datetime, budget: timedelta) -> None:
    """What is told of a call is written, read back and reckoned with; its replay has a budget, whatever that is."""
    told = outcome_of_call(made, State.ACCEPTED, at, 1, next_attempt_at=at)
    assert CallOutcome.model_validate_json(told.model_dump_json()).exposure_seconds == told.exposure_seconds
    voucher = ProvenanceMac(b"k" * 32)
    kept = voucher.letters.sign(dead_letter_of_call(made, Reason.HTTP_5XX, at))
    letter = DeadLetter.model_validate_json(kept.model_dump_json())
    replay = replay_message(letter, at, dict.fromkeys(Lane, budget), voucher)
    assert json.loads(replay.body)[0][0]["replays"] == 1


class _Nobody:
    """A ledger that knows of no call."""

    def calls_alike(self, *, target: str | None = None, person: str | None = None) -> list[Any]:
        """None."""
        return []

    def answers_around(self, provider: str, at: datetime) -> list[Any]:
        """None."""
        return []


@given(MOMENTS, MOMENTS, SPANS)
@THOROUGH
def test_no_time_of_an_event_and_no_limit_stops_who_judges_its_age(
    happened: datetime, now: datetime, limit: timedelta
) -> None:
    """The desk and the memory compare, whatever they are given."""
    letter = DeadLetter(kind="event", dead_letter_id="d", reason="x", at=now, occurred_at=happened, body="")
    told = {"kind": "event", "reason": "x", "event_type": "t", "occurred_at": happened, "state": DeadLetterState.DEAD}
    nothing = dict.fromkeys(each.name for each in fields(DeadLetterRow))
    row = DeadLetterRow(**{**nothing, **told, "document": letter.model_dump_json()})  # type: ignore[arg-type]
    assert len(plan_replay([row], _Nobody(), now, {"t": limit}).ready) <= 1
    dedup = Deduplicator(cast("Any", None), {"session.ended": limit}, limit)
    dedup._came("session.ended", happened)
    event = ended()
    assert isinstance(event, SessionEnded)
    dedup._is_old(IncomingEvent(event.model_copy(update={"time": happened})))
    assert "session.ended" in dedup._horizons()


@pytest.mark.parametrize("youngest", [NOW, NOW - timedelta(days=10), NOW + timedelta(days=10), None])
def test_the_limit_of_age_is_exact(monkeypatch: pytest.MonkeyPatch, youngest: datetime | None) -> None:
    """Two days behind the youngest, and what clocks may differ; without one, behind the longest outage."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return cls.fromtimestamp(NOW.timestamp(), tz)

    monkeypatch.setattr("worker.intake.dedup.datetime", Clock)
    kind, age, outage = "session.ended", timedelta(days=2), timedelta(days=30)
    dedup = Deduplicator(cast("Any", None), {kind: age}, outage)
    if youngest is not None:
        dedup._came(kind, youngest)
    limit = min(youngest or NOW - outage, NOW) - age - timedelta(seconds=300)
    event = ended()
    assert isinstance(event, SessionEnded)
    just_too_old = event.model_copy(update={"time": limit - timedelta(microseconds=1)})
    assert dedup._is_old(IncomingEvent(just_too_old))
    assert not dedup._is_old(IncomingEvent(just_too_old, replays=1))
    assert not dedup._is_old(IncomingEvent(event.model_copy(update={"time": limit})))
