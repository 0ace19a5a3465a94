"""A provider call: what makes it itself, and what it stands for."""

from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any, Final

import pytest
from pydantic import ValidationError

from tasks.call import MAX_COVERED, Attempt, Lane, ProviderCall, call_id
from tasks.providers import genesys

NOW: Final = datetime(2026, 11, 21, 1, 20, tzinfo=UTC)
PARTS: Final = {
    "source": ("urn:a", "urn:b"),
    "event_id": ("e-1", "e-2"),
    "provider": ("genesys", "genesys-eu"),
    "operation": (genesys.DELETE_TOKEN, genesys.DELETE_TOKENS_ME),
    "unit": ("u-1", "u-2"),
}


def test_each_part_of_an_identity_makes_another_call() -> None:
    """Source, event, provider, operation and unit: every combination is a row of its own, and always the same one."""
    identities = [call_id(*parts) for parts in product(*PARTS.values())]
    assert len(set(identities)) == len(identities) == 2 ** len(PARTS)
    assert identities == [call_id(*parts) for parts in product(*PARTS.values())]


def call(**told: Any) -> ProviderCall:
    """A call for the whole user."""
    known = {"call_id": "c", "source": "urn:a", "event_id": "e", "event_type": "user.disabled", "subject": "-"}
    times = {"occurred_at": NOW, "deadline": NOW + timedelta(hours=1)}
    more = {"provider": "genesys", "operation": genesys.DELETE_TOKEN, "lane": Lane.URGENT, "user_id": "u"}
    return ProviderCall.model_validate({**known, **times, **more, **told})


def test_a_replay_starts_afresh_and_by_itself() -> None:
    """Without its attempts, which the dead letter keeps, and without the sessions it covered."""
    tried = call(attempts=(Attempt(at=NOW, reason="http.5xx"),), covers=(call(call_id="s"),), replays=2)
    again = tried.replayed(NOW + timedelta(days=1), timedelta(hours=3))
    assert (again.attempts, again.covers, again.replays) == ((), (), 3)
    assert again.deadline == NOW + timedelta(days=1, hours=3)
    renewed = {"attempts", "covers", "replays", "deadline", "planned_at"}
    assert again.model_dump(exclude=renewed) == tried.model_dump(exclude=renewed), "its identity is kept"
    assert tried.alone() == tried.model_copy(update={"covers": ()})


def test_what_is_covered_covers_nothing_itself() -> None:
    """One level, of as many sessions as an event may list."""
    covered = call(call_id="s")
    assert call(covers=[covered] * MAX_COVERED).covers == (covered,) * MAX_COVERED
    for covers in ([covered] * (MAX_COVERED + 1), [call(covers=[covered])]):
        with pytest.raises(ValidationError):
            call(covers=covers)


def test_a_call_of_an_earlier_version_is_read() -> None:
    """It waits in the broker while the worker is upgraded."""
    document = call().model_dump(mode="json", exclude={"covers", "target_key", "person_key"})
    assert ProviderCall.model_validate(document) == call()
