"""One call for one user: a success covers what it came after, never what came after it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from provider_calls import session_call

from tasks.call import Lane, ProviderCall
from tasks.outcome import CredentialFault, Outcome, Permanent, Reason, Settled, State, Transient
from tasks.providers import genesys
from tasks.runtime import Held
from worker.calls.coverage import COVERED_BY, FORGET_AFTER, HELD_FOR_USER, MAX_CLOCK_SKEW, MAX_DELAY, Coverage

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
DONE = Settled(State.ACCEPTED, "204")
USER = "6f3f2f0e-52f4-5d2b-9a53-5a8f1f4f2a11"


class Clock:
    """Both clocks, moved by the test."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        """Seconds since some time."""
        return self.seconds

    def now(self) -> datetime:
        """The time of the world."""
        return NOW + timedelta(seconds=self.seconds)


def disabled(call_id: str, at: datetime = NOW, **members: Any) -> ProviderCall:
    """A user-wide call of an event that happened, and was planned, *at* that time."""
    usual = {
        "call_id": call_id,
        "operation": genesys.DELETE_TOKEN,
        "lane": Lane.URGENT,
        "user_id": USER,
        "occurred_at": at,
        "planned_at": at,
    }
    return session_call(call_id, members.pop("provider", "genesys"), **{**usual, **members})


def ask(coverage: Coverage, call: ProviderCall, sent: datetime, outcome: Outcome = DONE) -> None:
    """Make *call*, *sent* then by the clock of the world."""
    with coverage.asking(call):
        coverage.learn(call, outcome, coverage.sending(sent))


@pytest.mark.parametrize(
    ("planned", "occurred", "is_covered"),
    [(-1, -1, True), (-1, 0, False), (0, -1, False), (-1, 1, False), (1, -1, False), (None, -1, False)],
)
def test_a_success_covers_what_it_was_sent_after(planned: int | None, occurred: int, *, is_covered: bool) -> None:
    """So long after we planned it and after it happened that no clocks differ by as much; one that tells not: never."""
    coverage = Coverage(Clock())
    ask(coverage, disabled("first"), NOW + MAX_CLOCK_SKEW)
    at = None if planned is None else NOW + timedelta(milliseconds=planned)
    later = disabled("later", planned_at=at, occurred_at=NOW + timedelta(milliseconds=occurred))
    known = coverage.known_of(later)
    assert isinstance(known, Settled) is is_covered
    if isinstance(known, Settled):
        assert (known.state, known.detail) == (State.COVERED, {COVERED_BY: "first"})


@pytest.mark.parametrize("ahead", [-240, -1, 0, 1, 240])
def test_clocks_that_differ_cover_nothing_by_a_call_that_was_sent_before(ahead: float) -> None:
    """The worker's clock is *ahead* seconds of the intake's: what it never saw before it asked is asked again."""
    clock = Clock()
    coverage = Coverage(clock)
    ask(coverage, disabled("first"), clock.now() + timedelta(seconds=ahead))
    clock.seconds += 1
    told = disabled("told a second later", clock.now())
    assert coverage.known_of(told) is None
    clock.seconds += MAX_DELAY
    assert coverage.known_of(told) is None


@pytest.mark.parametrize("ahead", [-240, 0, 240])
def test_what_was_seen_before_a_call_was_sent_is_covered_by_it(ahead: float) -> None:
    """Whatever the intake's clock says: this worker put it back itself, and asked afterwards."""
    clock = Clock()
    coverage = Coverage(clock)
    waiting = disabled("waiting", occurred_at=NOW, planned_at=NOW - timedelta(seconds=ahead))
    with coverage.asking(disabled("first")):
        assert isinstance(coverage.known_of(waiting), Held)
    clock.seconds += MAX_DELAY
    ask(coverage, disabled("second"), clock.now())
    assert isinstance(coverage.known_of(waiting), Settled)
    assert not isinstance(coverage.known_of(waiting.replayed(waiting.occurred_at, timedelta(hours=1))), Settled)
    assert not isinstance(
        coverage.known_of(waiting.model_copy(update={"occurred_at": clock.now() + timedelta(seconds=1)})), Settled
    )


@pytest.mark.parametrize(
    "outcome",
    [
        Permanent(Reason.PROVIDER_NOT_FOUND),
        Settled(State.ALREADY_REVOKED, "404"),
        Settled(State.EXPIRED, "expires_at"),
        Transient(Reason.NET_TIMEOUT),
        CredentialFault(Reason.AUTH_FORBIDDEN),
    ],
)
def test_what_did_not_succeed_covers_nobody(outcome: Outcome) -> None:
    """A 404 least of all, however the settings take it."""
    clock = Clock()
    coverage = Coverage(clock)
    ask(coverage, disabled("first"), NOW + timedelta(seconds=9), outcome)
    clock.seconds += MAX_DELAY
    assert coverage.known_of(disabled("later")) is None


@pytest.mark.parametrize(
    "other",
    [
        disabled("later", user_id="another"),
        disabled("later", provider="genesys-eu"),
        disabled("later", user_id=None, jwe=USER),
    ],
)
def test_nothing_covers_another_target(other: ProviderCall) -> None:
    """Neither another user, nor another instance, nor a single session; nor does it wait for them."""
    coverage = Coverage(Clock())
    ask(coverage, disabled("first"), NOW + timedelta(seconds=9))
    assert coverage.known_of(other) is None


def test_a_call_that_comes_a_second_time_is_not_covered_by_itself() -> None:
    """The broker delivered it again: nobody knows what the first delivery told."""
    clock = Clock()
    coverage = Coverage(clock)
    ask(coverage, disabled("first"), NOW + timedelta(seconds=9))
    clock.seconds += MAX_DELAY
    assert coverage.known_of(disabled("first")) is None


def test_while_one_is_under_way_the_others_wait_in_their_queue() -> None:
    """The longer it takes, the more seldom they look."""
    clock = Clock()
    coverage = Coverage(clock)
    with coverage.asking(disabled("first")):
        assert coverage.known_of(disabled("later")) == Held(HELD_FOR_USER, 1)
        clock.seconds += 60
        assert coverage.known_of(disabled("later")) == Held(HELD_FOR_USER, MAX_DELAY)
    assert coverage.known_of(disabled("later")) is None


def test_nine_hundred_events_of_one_user_become_a_few_calls() -> None:
    """They are told within three seconds, come back as they are asked to, and are all covered soon."""
    clock = Clock()
    coverage = Coverage(clock)
    due = [(number / 300, disabled(str(number), NOW + timedelta(seconds=number / 300))) for number in range(900)]
    made, covered = [], 0
    while due:
        due.sort(key=lambda each: each[0])
        clock.seconds, call = due.pop(0)
        match coverage.known_of(call):
            case Held(delay=delay):
                due.append((clock.seconds + delay, call))
            case Settled():
                covered += 1
            case None:
                made.append(clock.seconds)
                ask(coverage, call, clock.now())
    assert len(made) + covered == 900
    assert len(made) <= 6
    assert clock.seconds < 12
    clock.seconds += FORGET_AFTER
    ask(coverage, disabled("much later", clock.now()), clock.now())
    clock.seconds += 1
    assert coverage.known_of(disabled("and another", clock.now())) is None  # as if nothing had been


@given(st.lists(st.tuples(st.floats(-10, 10), st.floats(-10, 10), st.floats(0, 20)), max_size=20))
def test_no_success_covers_what_happened_or_was_planned_after_it(moves: list[tuple[float, float, float]]) -> None:
    """Whatever the order in which calls are made and looked at."""
    coverage = Coverage(Clock())
    sends: dict[str, datetime] = {}
    for number, (planned, occurred, sent) in enumerate(moves):
        at = [NOW + timedelta(seconds=each) for each in (planned, occurred, sent)]
        call = disabled(str(number), planned_at=at[0], occurred_at=at[1])
        known = coverage.known_of(call)
        if isinstance(known, Settled):
            assert sends[known.detail[COVERED_BY]] > max(at[:2])
        else:
            ask(coverage, call, at[2])
            sends[call.call_id] = at[2]


def test_a_replay_is_planned_anew() -> None:
    """An operator wants another call, whatever succeeded before."""
    clock = Clock()
    coverage = Coverage(clock)
    ask(coverage, disabled("first"), NOW + timedelta(seconds=9))
    clock.seconds += MAX_DELAY
    assert coverage.known_of(disabled("later").replayed(NOW + timedelta(seconds=9), timedelta(hours=1))) is None
