"""The breaker: what opens a hold, and for which calls. Different calls in a row, never one alone, nor one source."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.outcome import CredentialFault, Outcome, Permanent, Reason, Settled, State, Transient
from worker.calls.holds.breaker import HANDFUL, LATELY, LIMITS, Breaker, Sighting, Trip
from worker.calls.holds.hold import Hold, Opener, Scope
from worker.calls.holds.symptoms import BY_DATA, HEALED_BY, Symptom, behind, symptom

OUTCOMES: list[tuple[Outcome, Symptom]] = [
    (Settled(State.ACCEPTED, "204"), Symptom.WELL),
    (Settled(State.ALREADY_REVOKED, "401 bad.credentials"), Symptom.WELL),
    (Settled(State.ALREADY_REVOKED, "404"), Symptom.ANSWERED),
    (CredentialFault(Reason.AUTH_UNAUTHORIZED), Symptom.REFUSED),
    (CredentialFault(Reason.AUTH_FORBIDDEN), Symptom.REFUSED),
    (CredentialFault(Reason.AUTH_UNAUTHORIZED, is_ambiguous=True), Symptom.AMBIGUOUS),
    (Transient(Reason.HTTP_5XX), Symptom.OUTAGE),
    (Transient(Reason.NET_TIMEOUT), Symptom.OUTAGE),
    (Transient(Reason.NET_TLS), Symptom.OUTAGE),
    (Transient(Reason.HTTP_429, 20.0), Symptom.PAUSE),
    (Transient(Reason.HTTP_429), Symptom.NOTHING),
    (Transient(Reason.PROVIDER_BAD_REPLY), Symptom.NOTHING),
    (Permanent(Reason.PROVIDER_NOT_FOUND), Symptom.NOT_FOUND),
    (Permanent(Reason.PROVIDER_NO_ENDPOINT), Symptom.NOT_FOUND),
    (Permanent("http.4xx.bad_request"), Symptom.WELL),
    (Permanent(Reason.AUTH_FORBIDDEN), Symptom.WELL),
    (Permanent(Reason.HTTP_3XX), Symptom.NOTHING),
    (Permanent(Reason.CRYPTO_SEAL), Symptom.NOTHING),
]


@pytest.mark.parametrize(("outcome", "expected"), OUTCOMES)
def test_every_outcome_is_a_symptom(outcome: Outcome, expected: Symptom) -> None:
    """What says nothing of the provider, because no call was made or nobody knows who answered, is none."""
    assert symptom(outcome) is expected


def feed(  # noqa: PLR0913 - what a call can be
    breaker: Breaker, found: Symptom, count: int, *, ours: bool = True, subject: str = "", source: str = "urn:a"
) -> list[Trip | None]:
    """Show *count* different calls; what each of them opened."""
    numbers = [f"{source}-{number}" for number in range(count)]
    return [breaker.observe(Sighting(found, number, subject or number, ours, source)) for number in numbers]


@pytest.mark.parametrize(
    ("found", "ours", "trip"),
    [
        (Symptom.REFUSED, True, Trip(Scope.WORKER, "")),
        (Symptom.AMBIGUOUS, True, Trip(Scope.WORKER, "urn:a")),
        (Symptom.OUTAGE, True, Trip(Scope.ALL, "")),
        (Symptom.OUTAGE, False, Trip(Scope.ALL, "")),
        (Symptom.NOT_FOUND, True, Trip(Scope.ALL, "urn:a")),
        (Symptom.NOT_FOUND, False, Trip(Scope.ALL, "urn:a")),
        (Symptom.PAUSE, False, Trip(Scope.ALL, "urn:a")),
    ],
)
def test_different_calls_in_a_row_open_a_hold(found: Symptom, ours: bool, trip: Trip) -> None:  # noqa: FBT001 - a case
    """3 refusals of our credential, 5 failures, 10 unknown people or references; not one fewer, of data its source."""
    limit = LIMITS[found]
    assert feed(Breaker(), found, limit, ours=ours) == [None] * (limit - 1) + [trip]


@pytest.mark.parametrize("found", [Symptom.NOT_FOUND, Symptom.PAUSE])
def test_what_several_sources_meet_holds_everybody(found: Symptom) -> None:
    """Three different ones of each are no accident of one source; two of another are none either."""
    breaker = Breaker()
    feed(breaker, found, LIMITS[found] - HANDFUL, ours=False)
    first = feed(breaker, found, HANDFUL, ours=False, source="urn:b")
    second = feed(breaker, found, HANDFUL, ours=False, source="urn:a")
    assert Trip(Scope.ALL, "") in [*first, *second]
    assert set(first[: HANDFUL - 1]) == {None}


@pytest.mark.parametrize("found", sorted(BY_DATA - {Symptom.AMBIGUOUS}, key=str))
def test_where_others_are_served_the_failures_of_one_source_hold_nobody(found: Symptom) -> None:
    """They are about what it asks for, and each of its calls comes to what it comes to. Until that was long ago."""
    now = [0.0]
    breaker = Breaker(lambda: now[0])
    feed(breaker, Symptom.WELL, 1, source="urn:b", ours=False)
    assert set(feed(breaker, found, 50, ours=False)) == {None}
    now[0] += LATELY
    assert feed(breaker, found, 1, ours=False) == [Trip(Scope.ALL, "urn:a")]


def test_an_outage_that_one_source_alone_meets_is_its_own() -> None:
    """Where others are served. As soon as one of them meets it, it is everybody's."""
    breaker = Breaker()
    feed(breaker, Symptom.WELL, 1, source="urn:b")
    assert feed(breaker, Symptom.OUTAGE, LIMITS[Symptom.OUTAGE])[-1] == Trip(Scope.ALL, "urn:a")
    assert feed(breaker, Symptom.OUTAGE, 1, source="urn:b") == [Trip(Scope.ALL, "")]


@pytest.mark.parametrize("source", ["urn:a", "urn:b"])
def test_a_credential_that_worked_lately_is_not_suspected(source: str) -> None:
    """For whomever it did: a refusal that may be about the reference is about the reference."""
    now = [0.0]
    breaker = Breaker(lambda: now[0])
    feed(breaker, Symptom.WELL, 1, source=source)
    assert set(feed(breaker, Symptom.AMBIGUOUS, 500)) == {None}
    breaker.renew()  # another credential has not worked yet
    assert feed(breaker, Symptom.AMBIGUOUS, LIMITS[Symptom.AMBIGUOUS])[-1] == Trip(Scope.WORKER, "urn:a")


def test_no_number_of_sources_with_dead_references_holds_everybody() -> None:
    """References that died by themselves are an everyday matter for each of them."""
    breaker = Breaker()
    trips = [trip for number in range(30) for trip in feed(breaker, Symptom.AMBIGUOUS, 20, source=f"urn:{number}")]
    assert Trip(Scope.WORKER, "") not in trips
    assert {trip.source for trip in trips if trip} == {f"urn:{number}" for number in range(30)}


@given(st.lists(st.tuples(st.sampled_from([*BY_DATA, Symptom.WELL, Symptom.ANSWERED, Symptom.NOTHING]), st.booleans())))
def test_what_the_data_of_one_source_brings_about_never_holds_another(history: list[tuple[Symptom, bool]]) -> None:
    """Whatever its calls come to, in whatever order."""
    breaker = Breaker()
    for number, (found, ours) in enumerate(history):
        trip = breaker.observe(Sighting(found, f"call-{number}", f"user-{number}", ours, "urn:a"))
        assert trip is None or trip.source == "urn:a"


@pytest.mark.parametrize("found", LIMITS)
def test_one_call_again_and_again_never_opens_a_hold(found: Symptom) -> None:
    """It burns its attempts, and nobody else waits for it."""
    breaker = Breaker()
    ours = found is not Symptom.PAUSE
    assert {breaker.observe(Sighting(found, "call", "user", ours=ours)) for _ in range(50)} == {None}


def test_one_unknown_person_with_many_sessions_opens_no_hold() -> None:
    """404 for one user is `not_found`, however many calls it takes to see."""
    assert set(feed(Breaker(), Symptom.NOT_FOUND, 50, subject="gone")) == {None}


@pytest.mark.parametrize("found", LIMITS)
def test_a_success_between_starts_the_count_anew(found: Symptom) -> None:
    """A provider that fails some calls is not down."""
    breaker = Breaker()
    for _ in range(10):
        assert set(feed(breaker, found, LIMITS[found] - 1)) == {None}
        breaker.observe(Sighting(Symptom.WELL, "well", "well", ours=True))


@pytest.mark.parametrize("found", [Symptom.OUTAGE, Symptom.NOT_FOUND])
def test_where_users_tokens_work_only_our_own_calls_are_held(found: Symptom) -> None:
    """The login is down, the API is not."""
    breaker = Breaker()
    feed(breaker, found, LIMITS[found] - 1)
    breaker.observe(Sighting(Symptom.WELL, "theirs", "theirs", ours=False))
    trip = feed(breaker, found, LIMITS[found])[-1]
    assert trip is not None
    assert trip.scope is Scope.WORKER


@given(st.lists(st.tuples(st.sampled_from(Symptom), st.booleans(), st.integers(0, 30)), max_size=200))
def test_no_history_of_users_tokens_alone_blames_our_credential(history: list[tuple[Symptom, bool, int]]) -> None:
    """Whatever is mixed in: a hold of our calls alone needs failures of our own calls."""
    breaker = Breaker()
    for found, ours, number in history:
        trip = breaker.observe(Sighting(found, str(number), str(number), ours))
        assert ours or trip is None or trip.scope is not Scope.WORKER
        assert ours or found not in {Symptom.REFUSED, Symptom.AMBIGUOUS} or trip is None


def test_every_cause_of_a_hold_can_be_healed() -> None:
    """By a success at least, never by itself."""
    assert set(HEALED_BY) == set(LIMITS) - {Symptom.PAUSE}  # which ends by itself
    assert all(Symptom.WELL in healing and cause not in healing for cause, healing in HEALED_BY.items())
    causes = {behind(hold(reason)) for reason in (Reason.AUTH_FORBIDDEN, Reason.NET_DNS, Reason.PROVIDER_NO_ENDPOINT)}
    assert causes | {behind(hold(Reason.AUTH_UNAUTHORIZED, "urn:a"))} == set(HEALED_BY)
    assert behind(hold(Reason.AUTH_UNAUTHORIZED)) is Symptom.REFUSED


def hold(reason: str, source: str = "") -> Hold:
    """A breaker's."""
    now = datetime.now(UTC)
    return Hold("wibmo", Scope.WORKER, Opener.BREAKER, "host:1", reason, now, now, source=source)
