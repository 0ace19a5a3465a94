"""The breaker: what opens a hold, and for which calls. Different calls in a row, never one alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.outcome import CredentialFault, Outcome, Permanent, Reason, Settled, State, Transient
from worker.holds.breaker import LIMITS, Breaker, Sighting
from worker.holds.hold import Scope
from worker.holds.symptoms import HEALED_BY, Symptom, behind, symptom

OUTCOMES: list[tuple[Outcome, Symptom]] = [
    (Settled(State.ACCEPTED, "204"), Symptom.WELL),
    (Settled(State.ALREADY_REVOKED, "401 bad.credentials"), Symptom.WELL),
    (Settled(State.ALREADY_REVOKED, "404"), Symptom.NOT_FOUND),
    (CredentialFault(Reason.AUTH_UNAUTHORIZED), Symptom.REFUSED),
    (CredentialFault(Reason.AUTH_FORBIDDEN), Symptom.REFUSED),
    (Transient(Reason.HTTP_5XX), Symptom.OUTAGE),
    (Transient(Reason.NET_TIMEOUT), Symptom.OUTAGE),
    (Transient(Reason.NET_TLS), Symptom.OUTAGE),
    (Transient(Reason.HTTP_429, 20.0), Symptom.PAUSE),
    (Transient(Reason.HTTP_429), Symptom.NOTHING),
    (Transient(Reason.PROVIDER_BAD_REPLY), Symptom.NOTHING),
    (Permanent(Reason.PROVIDER_NOT_FOUND), Symptom.NOT_FOUND),
    (Permanent("http.4xx.bad_request"), Symptom.WELL),
    (Permanent(Reason.AUTH_FORBIDDEN), Symptom.WELL),
    (Permanent(Reason.HTTP_3XX), Symptom.NOTHING),
    (Permanent(Reason.CRYPTO_SEAL), Symptom.NOTHING),
]


@pytest.mark.parametrize(("outcome", "expected"), OUTCOMES)
def test_every_outcome_is_a_symptom(outcome: Outcome, expected: Symptom) -> None:
    """What says nothing of the provider, because no call was made or nobody knows who answered, is none."""
    assert symptom(outcome) is expected


def feed(breaker: Breaker, found: Symptom, count: int, *, ours: bool = True, subject: str = "") -> list[Scope | None]:
    """Show *count* different calls; what each of them opened."""
    return [
        breaker.observe(Sighting(found, f"call-{number}", subject or f"user-{number}", ours)) for number in range(count)
    ]


@pytest.mark.parametrize(
    ("found", "ours", "scope"),
    [
        (Symptom.REFUSED, True, Scope.WORKER),
        (Symptom.OUTAGE, True, Scope.ALL),
        (Symptom.OUTAGE, False, Scope.ALL),
        (Symptom.NOT_FOUND, True, Scope.ALL),
        (Symptom.NOT_FOUND, False, Scope.ALL),
    ],
)
def test_different_calls_in_a_row_open_a_hold(found: Symptom, ours: bool, scope: Scope) -> None:  # noqa: FBT001 - a case
    """3 refusals of our credential, 5 failures, 10 people nobody knows; not one fewer."""
    limit = LIMITS[found]
    assert feed(Breaker(), found, limit, ours=ours) == [None] * (limit - 1) + [scope]


@pytest.mark.parametrize("found", LIMITS)
def test_one_call_again_and_again_never_opens_a_hold(found: Symptom) -> None:
    """It burns its attempts, and nobody else waits for it."""
    breaker = Breaker()
    assert {breaker.observe(Sighting(found, "call", "user", ours=True)) for _ in range(50)} == {None}


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
    assert feed(breaker, found, LIMITS[found])[-1] is Scope.WORKER


@given(st.lists(st.tuples(st.sampled_from(Symptom), st.booleans(), st.integers(0, 30)), max_size=200))
def test_no_history_of_users_tokens_alone_blames_our_credential(history: list[tuple[Symptom, bool, int]]) -> None:
    """Whatever is mixed in: a hold of our calls alone needs failures of our own calls."""
    breaker = Breaker()
    for found, ours, number in history:
        scope = breaker.observe(Sighting(found, str(number), str(number), ours))
        assert ours or scope is not Scope.WORKER
        assert ours or found is not Symptom.REFUSED or scope is None


def test_every_cause_of_a_hold_can_be_healed() -> None:
    """By a success at least, never by itself."""
    assert set(HEALED_BY) == set(LIMITS)
    assert all(Symptom.WELL in healing and cause not in healing for cause, healing in HEALED_BY.items())
    reasons = (Reason.AUTH_FORBIDDEN, Reason.NET_DNS, Reason.HTTP_5XX, Reason.PROVIDER_NOT_FOUND)
    assert {behind(reason) for reason in reasons} == set(LIMITS)
