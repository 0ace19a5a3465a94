"""Doubt about a whole instance: many people dead already and nobody accepted is a wrong place, not a success."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery import Celery
from hypothesis import given
from hypothesis import strategies as st

from tasks.call import Attempt, Lane, ProviderCall
from tasks.doubt import DIED, NEARLY, PEOPLE, WINDOW, TokenAnswer, are_doubtful, between_proofs, explained
from tasks.outcome import Reason, Settled, State
from tasks.providers import genesys
from tasks.runtime import came_before
from worker.calls.doubt import Doubts
from worker.engine.task import AsyncTask

NOW = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)
DEAD = Settled(State.ALREADY_REVOKED, "401 bad.credentials", {"status": "401"})
PROOFS = (State.ACCEPTED, State.CONFIRMED)


def dead(person: object, seconds: float = 0, *, explained: bool = False) -> TokenAnswer:
    """Return the word that this person's token was dead already."""
    return TokenAnswer(NOW + timedelta(seconds=seconds), str(person), State.ALREADY_REVOKED, explained)


def call(person: str = "ada", provider: str = "genesys", **told: Any) -> ProviderCall:
    """Return a call about somebody."""
    about: dict[str, Any] = {
        "call_id": f"call-of-{person}",
        "source": "urn:test",
        "event_id": "e1",
        "event_type": "session.ended",
    }
    about |= {"occurred_at": NOW, "deadline": NOW + timedelta(hours=1), "subject": "a…a", "provider": provider}
    about |= {"operation": genesys.DELETE_TOKENS_ME, "lane": Lane.ROUTINE}
    return ProviderCall.model_validate(about | told)


def observe(doubts: Doubts, *people: str, state: State = State.ALREADY_REVOKED, after: timedelta = timedelta()) -> None:
    """Let *doubts* see what became of these people."""
    for person in people:
        made = call(person)
        doubts.observe(made, explained(made, Settled(state, "evidence"), NOW), NOW + after)


CROWD = [f"person-{number}" for number in range(PEOPLE)]


def test_ten_people_dead_already_and_nobody_accepted_are_doubtful() -> None:
    """Not one person fewer, and one person ten times is one person."""
    assert are_doubtful(map(dead, range(PEOPLE)))
    assert not are_doubtful(map(dead, range(PEOPLE - 1)))
    assert not are_doubtful([dead("ada", second) for second in range(100)])


@pytest.mark.parametrize("proof", PROOFS)
def test_one_token_that_was_accepted_is_the_proof_of_all(proof: State) -> None:
    """An instance that knows a living token is the right one."""
    assert not are_doubtful([*map(dead, range(100)), TokenAnswer(NOW, "ada", proof)])


def test_who_expired_does_not_count() -> None:
    """A job that ends the sessions which timed out meets dead tokens all night."""
    assert not are_doubtful(dead(number, explained=True) for number in range(100))
    assert not are_doubtful([*map(dead, range(PEOPLE - 1)), dead("x", explained=True)])


@given(st.lists(st.sampled_from([state for state in State if state not in (*PROOFS, State.ALREADY_REVOKED)])))
def test_other_states_say_nothing_of_the_instance(states: list[State]) -> None:
    """A failure is no word about a token."""
    others = [TokenAnswer(NOW, str(number), state) for number, state in enumerate(states)]
    assert not are_doubtful(others)
    assert are_doubtful([*others, *map(dead, range(PEOPLE))])


@pytest.mark.parametrize(
    ("proofs", "seconds", "left"),
    [
        ((), 0, {-3599.0, -10.0, 0.0, 10.0, 3599.0}),
        ((-20.0,), 0, {-10.0, 0.0, 10.0, 3599.0}),
        ((5.0,), 0, {-3599.0, -10.0, 0.0}),
        ((-20.0, 5.0), 0, {-10.0, 0.0}),
        ((-5.0, 5.0), 0, {0.0}),
        ((5.0,), 10, {10.0, 3599.0}),
    ],
)
def test_only_what_was_said_between_two_proofs_is_judged(
    proofs: tuple[float, ...], seconds: float, left: set[float]
) -> None:
    """The instance was right before and is right again: what it said between may still be wrong."""
    said = [dead(at, at) for at in (-3601, -3599, -10, 0, 10, 3599, 3611)]
    living = [TokenAnswer(NOW + timedelta(seconds=at), "", State.ACCEPTED) for at in proofs]
    kept = between_proofs(NOW + timedelta(seconds=seconds), [*said, *living])
    assert {(each.at - NOW).total_seconds() for each in kept} == left


@pytest.mark.parametrize(
    ("told", "cause"),
    [
        ({}, None),
        ({"expires_at": NOW - timedelta(days=1)}, "expired"),
        ({"expires_at": NOW + NEARLY}, "expired"),
        ({"expires_at": datetime(1, 1, 1, tzinfo=UTC)}, None),
        ({"expires_at": datetime(1970, 1, 1, tzinfo=UTC)}, None),
        ({"expires_at": datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)}, None),
        ({"expires_at": NOW + NEARLY + timedelta(seconds=1)}, None),
        ({"attempts": [Attempt(at=NOW, reason=Reason.NET_TIMEOUT)]}, "earlier_attempt"),
        ({"attempts": [Attempt(at=NOW, reason=Reason.NET_CONNECT)]}, "earlier_attempt"),
        ({"attempts": [Attempt(at=NOW, reason=Reason.HTTP_429)]}, None),
        ({"attempts": [Attempt(at=NOW, reason=Reason.PROVIDER_BAD_REPLY)]}, None),
    ],
)
def test_why_a_token_was_dead_already_is_told_where_it_is_known(told: dict[str, Any], cause: str | None) -> None:
    """It expired, or an attempt of ours whose answer was lost has killed it. What nobody set is no expiry."""
    outcome = explained(call(**told), DEAD, NOW)
    assert outcome.detail == {"status": "401", **({DIED: cause} if cause else {})}
    assert explained(call(**told), DEAD, NOW, came_before=True).detail[DIED] == (cause or "earlier_attempt")
    accepted = Settled(State.ACCEPTED, "204")
    assert explained(call(**told), accepted, NOW, came_before=True) is accepted


@pytest.mark.parametrize("delivery_info", [{"redelivered": True}, {"redelivered": False}, {}, None])
async def test_a_task_knows_whether_its_message_came_before(delivery_info: dict[str, bool] | None) -> None:
    """A worker that was killed may have made the call; so its second delivery proves nothing of the instance."""
    app = Celery("test")

    async def body() -> bool:
        return came_before.get()

    task = app.task(body, base=AsyncTask, name="look")
    task.push_request(delivery_info=delivery_info)
    assert await task.run_settled() is bool((delivery_info or {}).get("redelivered"))
    task.pop_request()


def test_the_worker_says_it_once_at_level_error(caplog: pytest.LogCaptureFixture) -> None:
    """An error is what Sentry reports; the eleventh and the hundredth person are the same news."""
    doubts = Doubts()
    observe(doubts, *CROWD[1:])
    assert caplog.records == []
    observe(doubts, *CROWD, *(f"more-{number}" for number in range(100)))
    (alert,) = caplog.records
    assert (alert.levelname, alert.msg, vars(alert)["provider"]) == ("ERROR", "provider.doubted", "genesys")


def test_the_worker_doubts_anew_after_a_success(caplog: pytest.LogCaptureFixture) -> None:
    """A gateway that breaks behind a success is another story."""
    doubts = Doubts()
    observe(doubts, *CROWD[1:])
    observe(doubts, "ada", state=State.ACCEPTED)
    observe(doubts, *CROWD[1:])
    assert caplog.records == []
    observe(doubts, CROWD[0])
    observe(doubts, "ada", state=State.CONFIRMED)
    observe(doubts, *CROWD)
    assert len(caplog.records) == 2


def test_the_worker_forgets_what_is_long_ago(caplog: pytest.LogCaptureFixture) -> None:
    """Ten sessions over in a quiet month are no sign."""
    doubts = Doubts()
    observe(doubts, *CROWD[1:])
    observe(doubts, CROWD[0], after=WINDOW + timedelta(seconds=1))
    assert caplog.records == []


def test_the_worker_counts_for_each_instance_alone_and_nobody_who_expired(caplog: pytest.LogCaptureFixture) -> None:
    """Two halves of a crowd at two instances say nothing of either."""
    doubts = Doubts()
    for number, person in enumerate(CROWD):
        doubts.observe(call(person, provider=f"genesys-{number % 2}"), DEAD, NOW)
        expired = call(f"{person}-expired", provider="genesys-0", expires_at=NOW)
        doubts.observe(expired, explained(expired, DEAD, NOW), NOW)
    assert caplog.records == []
