"""The breaker: what opens a hold, and for which calls. Different calls in a row, never one alone, nor one source."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.outcome import CredentialFault, Outcome, Permanent, Reason, Settled, State, Transient
from worker.calls.holds.breaker import (
    BY_DATA,
    CLOSED_BY,
    PERMITTED_CALLS,
    SUCCESS_COUNTS_FOR,
    TRIP_AFTER,
    Breaker,
    CallSignal,
    Observation,
    Trip,
    cause_of,
    signal_of,
)
from worker.calls.holds.hold import Hold, OpenedBy, Scope

OUTCOMES: list[tuple[Outcome, CallSignal]] = [
    (Settled(State.ACCEPTED, "204"), CallSignal.SUCCESS),
    (Settled(State.ALREADY_REVOKED, "401 bad.credentials"), CallSignal.SUCCESS),
    (Settled(State.ALREADY_REVOKED, "404"), CallSignal.ANSWERED),
    (CredentialFault(Reason.AUTH_UNAUTHORIZED), CallSignal.REFUSED),
    (CredentialFault(Reason.AUTH_FORBIDDEN), CallSignal.REFUSED),
    (CredentialFault(Reason.AUTH_UNAUTHORIZED, is_ambiguous=True), CallSignal.AMBIGUOUS),
    (Transient(Reason.HTTP_5XX), CallSignal.OUTAGE),
    (Transient(Reason.NET_TIMEOUT), CallSignal.OUTAGE),
    (Transient(Reason.NET_TLS), CallSignal.OUTAGE),
    (Transient(Reason.HTTP_429, 20.0), CallSignal.PAUSE),
    (Transient(Reason.HTTP_429), CallSignal.NOTHING),
    (Transient(Reason.PROVIDER_BAD_REPLY), CallSignal.NOTHING),
    (Permanent(Reason.PROVIDER_NOT_FOUND), CallSignal.NOT_FOUND),
    (Permanent(Reason.PROVIDER_NO_ENDPOINT), CallSignal.NOT_FOUND),
    (Transient(Reason.PROVIDER_IN_PROGRESS), CallSignal.SUCCESS),
    (Permanent("http.4xx.bad_request"), CallSignal.SUCCESS),
    (Permanent(Reason.AUTH_FORBIDDEN), CallSignal.SUCCESS),
    (Permanent(Reason.HTTP_3XX), CallSignal.NOTHING),
    (Permanent(Reason.CRYPTO_SEAL), CallSignal.NOTHING),
]


@pytest.mark.parametrize(("outcome", "expected"), OUTCOMES)
def test_every_outcome_is_a_symptom(outcome: Outcome, expected: CallSignal) -> None:
    """What says nothing of the provider, because no call was made or nobody knows who answered, is none."""
    assert signal_of(outcome) is expected


def feed(  # noqa: PLR0913 - what a call can be
    breaker: Breaker,
    found: CallSignal,
    count: int,
    *,
    own_credential: bool = True,
    subject: str = "",
    source: str = "urn:a",
) -> list[Trip | None]:
    """Show *count* different calls; what each of them opened."""
    numbers = [f"{source}-{number}" for number in range(count)]
    return [
        breaker.observe(Observation(found, number, subject or number, own_credential, source)) for number in numbers
    ]


@pytest.mark.parametrize(
    ("found", "own_credential", "trip"),
    [
        (CallSignal.REFUSED, True, Trip(Scope.WORKER, "")),
        (CallSignal.AMBIGUOUS, True, Trip(Scope.WORKER, "urn:a")),
        (CallSignal.OUTAGE, True, Trip(Scope.ALL, "")),
        (CallSignal.OUTAGE, False, Trip(Scope.ALL, "")),
        (CallSignal.NOT_FOUND, True, Trip(Scope.ALL, "urn:a")),
        (CallSignal.NOT_FOUND, False, Trip(Scope.ALL, "urn:a")),
        (CallSignal.PAUSE, False, Trip(Scope.ALL, "urn:a")),
    ],
)
def test_different_calls_in_a_row_open_a_hold(found: CallSignal, own_credential: bool, trip: Trip) -> None:  # noqa: FBT001 - a case
    """3 refusals of our credential, 5 failures, 10 unknown people or references; not one fewer, of data its source."""
    limit = TRIP_AFTER[found]
    assert feed(Breaker(), found, limit, own_credential=own_credential) == [None] * (limit - 1) + [trip]


@pytest.mark.parametrize("found", [CallSignal.NOT_FOUND, CallSignal.PAUSE])
def test_what_several_sources_meet_holds_everybody(found: CallSignal) -> None:
    """Three different ones of each are no accident of one source; two of another are none either."""
    breaker = Breaker()
    feed(breaker, found, TRIP_AFTER[found] - PERMITTED_CALLS, own_credential=False)
    first = feed(breaker, found, PERMITTED_CALLS, own_credential=False, source="urn:b")
    second = feed(breaker, found, PERMITTED_CALLS, own_credential=False, source="urn:a")
    assert Trip(Scope.ALL, "") in [*first, *second]
    assert set(first[: PERMITTED_CALLS - 1]) == {None}


@pytest.mark.parametrize("found", sorted(BY_DATA - {CallSignal.AMBIGUOUS}, key=str))
def test_where_others_are_served_the_failures_of_one_source_hold_nobody(found: CallSignal) -> None:
    """They are about what it asks for, and each of its calls comes to what it comes to. Until that was long ago."""
    now = [0.0]
    breaker = Breaker(lambda: now[0])
    feed(breaker, CallSignal.SUCCESS, 1, source="urn:b", own_credential=False)
    assert set(feed(breaker, found, 50, own_credential=False)) == {None}
    now[0] += SUCCESS_COUNTS_FOR
    assert feed(breaker, found, 1, own_credential=False) == [Trip(Scope.ALL, "urn:a")]


def test_an_outage_that_one_source_alone_meets_is_its_own() -> None:
    """Where others are served. As soon as one of them meets it, it is everybody's."""
    breaker = Breaker()
    feed(breaker, CallSignal.SUCCESS, 1, source="urn:b")
    assert feed(breaker, CallSignal.OUTAGE, TRIP_AFTER[CallSignal.OUTAGE])[-1] == Trip(Scope.ALL, "urn:a")
    assert feed(breaker, CallSignal.OUTAGE, 1, source="urn:b") == [Trip(Scope.ALL, "")]


@pytest.mark.parametrize("source", ["urn:a", "urn:b"])
def test_a_credential_that_worked_lately_is_not_suspected(source: str) -> None:
    """For whomever it did: a refusal that may be about the reference is about the reference."""
    now = [0.0]
    breaker = Breaker(lambda: now[0])
    feed(breaker, CallSignal.SUCCESS, 1, source=source)
    assert set(feed(breaker, CallSignal.AMBIGUOUS, 500)) == {None}
    breaker.renew()  # another credential has not worked yet
    assert feed(breaker, CallSignal.AMBIGUOUS, TRIP_AFTER[CallSignal.AMBIGUOUS])[-1] == Trip(Scope.WORKER, "urn:a")


def test_no_number_of_sources_with_dead_references_holds_everybody() -> None:
    """References that died by themselves are an everyday matter for each of them."""
    breaker = Breaker()
    trips = [trip for number in range(30) for trip in feed(breaker, CallSignal.AMBIGUOUS, 20, source=f"urn:{number}")]
    assert Trip(Scope.WORKER, "") not in trips
    assert {trip.source for trip in trips if trip} == {f"urn:{number}" for number in range(30)}


@given(
    st.lists(
        st.tuples(
            st.sampled_from([*BY_DATA, CallSignal.SUCCESS, CallSignal.ANSWERED, CallSignal.NOTHING]), st.booleans()
        )
    )
)
def test_what_the_data_of_one_source_brings_about_never_holds_another(history: list[tuple[CallSignal, bool]]) -> None:
    """Whatever its calls come to, in whatever order."""
    breaker = Breaker()
    for number, (found, own_credential) in enumerate(history):
        trip = breaker.observe(Observation(found, f"call-{number}", f"user-{number}", own_credential, "urn:a"))
        assert trip is None or trip.source == "urn:a"


@pytest.mark.parametrize("found", TRIP_AFTER)
def test_one_call_again_and_again_never_opens_a_hold(found: CallSignal) -> None:
    """It burns its attempts, and nobody else waits for it."""
    breaker = Breaker()
    own_credential = found is not CallSignal.PAUSE
    assert {breaker.observe(Observation(found, "call", "user", own_credential=own_credential)) for _ in range(50)} == {
        None
    }


def test_one_unknown_person_with_many_sessions_opens_no_hold() -> None:
    """404 for one user is `not_found`, however many calls it takes to see."""
    assert set(feed(Breaker(), CallSignal.NOT_FOUND, 50, subject="gone")) == {None}


@pytest.mark.parametrize("found", TRIP_AFTER)
def test_a_success_between_starts_the_count_anew(found: CallSignal) -> None:
    """A provider that fails some calls is not down."""
    breaker = Breaker()
    for _ in range(10):
        assert set(feed(breaker, found, TRIP_AFTER[found] - 1)) == {None}
        breaker.observe(Observation(CallSignal.SUCCESS, "well", "well", own_credential=True))


@pytest.mark.parametrize("found", [CallSignal.OUTAGE, CallSignal.NOT_FOUND])
def test_where_users_tokens_work_only_our_own_calls_are_held(found: CallSignal) -> None:
    """The login is down, the API is not."""
    breaker = Breaker()
    feed(breaker, found, TRIP_AFTER[found] - 1)
    breaker.observe(Observation(CallSignal.SUCCESS, "theirs", "theirs", own_credential=False))
    trip = feed(breaker, found, TRIP_AFTER[found])[-1]
    assert trip is not None
    assert trip.scope is Scope.WORKER


@given(st.lists(st.tuples(st.sampled_from(CallSignal), st.booleans(), st.integers(0, 30)), max_size=200))
def test_no_history_of_users_tokens_alone_blames_our_credential(history: list[tuple[CallSignal, bool, int]]) -> None:
    """Whatever is mixed in: a hold of our calls alone needs failures of our own calls."""
    breaker = Breaker()
    for found, own_credential, number in history:
        trip = breaker.observe(Observation(found, str(number), str(number), own_credential))
        assert own_credential or trip is None or trip.scope is not Scope.WORKER
        assert own_credential or found not in {CallSignal.REFUSED, CallSignal.AMBIGUOUS} or trip is None


def test_every_cause_of_a_hold_can_be_healed() -> None:
    """By a success at least, never by itself."""
    assert set(CLOSED_BY) == set(TRIP_AFTER) - {CallSignal.PAUSE}  # which ends by itself
    assert all(CallSignal.SUCCESS in healing and cause not in healing for cause, healing in CLOSED_BY.items())
    causes = {cause_of(hold(reason)) for reason in (Reason.AUTH_FORBIDDEN, Reason.NET_DNS, Reason.PROVIDER_NO_ENDPOINT)}
    assert causes | {cause_of(hold(Reason.AUTH_UNAUTHORIZED, "urn:a"))} == set(CLOSED_BY)
    assert cause_of(hold(Reason.AUTH_UNAUTHORIZED)) is CallSignal.REFUSED


def hold(reason: str, source: str = "") -> Hold:
    """A breaker's."""
    now = datetime.now(UTC)
    return Hold("wibmo", Scope.WORKER, OpenedBy.BREAKER, "host:1", reason, now, now, source=source)
