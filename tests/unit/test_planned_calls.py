"""Planning: by what a call is known and compared, and when it must be done."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from planned_events import ALICE, CATALOGUE, JWE, OTHER_JWE, USER, disabled, ended, event, session

from tasks.plan import Plan


def test_the_same_event_has_the_same_call_ids() -> None:
    """Redelivery and replay meet the same rows; another event does not."""
    once, again = ended(session("finbourne", jwe=JWE)), ended(session("finbourne", jwe=JWE))
    assert once.calls[0].call_id == again.calls[0].call_id


@pytest.mark.parametrize(
    "other",
    [
        lambda: ended(session("finbourne", jwe=JWE), id="e-2"),
        lambda: ended(session("finbourne", jwe=JWE), source="urn:other"),
        lambda: ended(session("finbourne", jwe=OTHER_JWE)),
        lambda: ended(session("genesys", jwe=JWE)),
    ],
    ids=["event", "source", "credential", "provider"],
)
def test_another_event_source_provider_or_session_has_another_call_id(other: Callable[[], Plan]) -> None:
    """Each part of the identity counts: two sources may give their events the same id."""
    assert other().calls[0].call_id != ended(session("finbourne", jwe=JWE)).calls[0].call_id


def test_the_deadline_is_the_budget_or_the_events_own_end() -> None:
    """Whatever comes first: 24 h for routine calls, or the event's `expirytime`."""
    plain = ended(session("finbourne", jwe=JWE)).calls[0]
    short = ended(session("finbourne", jwe=JWE), expirytime="2026-11-21T02:15:30Z").calls[0]
    assert plain.deadline - plain.occurred_at == timedelta(hours=24)
    assert short.deadline - short.occurred_at == timedelta(hours=1)


def test_people_see_a_masked_subject_and_look_up_a_hash() -> None:
    """The identifier itself is nowhere in the call."""
    call = disabled(accounts={"genesys": {"user_id": USER}}).calls[0]
    assert call.subject == "a…@example.com"
    assert CATALOGUE.subjects.lookup(" Alice@Example.com ") in call.subject_keys
    assert "alice" not in call.model_dump_json()


def test_a_call_carries_the_hashes_by_which_it_is_compared() -> None:
    """What it hits, and all the names of the person together; neither in clear."""
    index = CATALOGUE.subjects
    [call] = disabled(accounts={"genesys": {"user_id": USER}}).calls
    assert (call.target, call.target_key) == (("genesys", "user", USER), index.target(call.target))
    assert call.person_key == index.person(event("user.disabled", {"sub_id": ALICE})) is not None
