"""When a later call made another one needless: the same target, or a user-wide call and every name the same."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any, Final

import pytest
from in_one_test import in_one_test

from tasks.doubt import PEOPLE, TokenAnswer
from tasks.outcome import State
from tasks.providers import KINDS, genesys
from worker.ledger import CallRow
from worker.operations.superseding import supersedes, superseding

NOON: Final = datetime(2026, 5, 4, 12, tzinfo=UTC)
WIDE: Final = genesys.DELETE_TOKEN
SESSION: Final = genesys.DELETE_TOKENS_ME
PROVEN: Final = {State.ACCEPTED, State.CONFIRMED, State.ALREADY_REVOKED}
USER, OTHER_USER, TOKEN, OTHER_TOKEN = "user-1", "user-2", "token-1", "token-2"
ADA, BOB = "all-names-of-ada", "all-names-of-bob"


def row(**told: Any) -> CallRow:
    """A user-wide call at noon that is dead, but for what is told."""
    nothing: dict[str, Any] = dict.fromkeys(CallRow.__dataclass_fields__)
    known = {"kind": "call", "provider": "genesys", "operation": WIDE, "state": State.DEAD, "detail": {}}
    return CallRow(**nothing | known | {"occurred_at": NOON, "at": NOON, "target": USER, "person": ADA} | told)


def after(minutes: float) -> datetime:
    """So many minutes after the dead call's event."""
    return NOON + timedelta(minutes=minutes)


# The same call for an event a minute later, confirmed a minute after that.
LATER: Final = {"occurred_at": after(1), "at": after(2), "duration_ms": 100.0, "state": State.CONFIRMED}


@in_one_test
@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("dead", [{}, {"operation": SESSION, "target": TOKEN}])
def test_only_a_proven_state_supersedes(state: State, dead: Mapping[str, Any]) -> None:
    """Not what is tried, held or dead, nor what only settles a unit of its own.

    A user-wide call that found nobody (`already_revoked`) killed no session.
    """
    killed = PROVEN - ({State.ALREADY_REVOKED} if dead else set())
    assert supersedes(row(**LATER | {"state": state}), row(**dead)) is (state in killed)


@pytest.mark.parametrize("provider", [*KINDS, "genesys-eu", None])
@pytest.mark.parametrize("dead", [{}, {"operation": SESSION, "target": TOKEN}])
def test_only_a_call_at_the_same_instance_supersedes(provider: str | None, dead: Mapping[str, Any]) -> None:
    """The name decides, also between instances of a kind."""
    assert supersedes(row(**LATER, provider=provider), row(**dead)) is (provider == "genesys")


@pytest.mark.parametrize(
    ("happened", "sent", "expected"),
    [
        (1, 2, True),
        (0, 2, False),
        (-1, 2, False),
        (1, 0, False),
        (1, -1, False),
        (0.001, 0.001, True),
        (None, 2, False),
    ],
)
def test_only_a_call_of_a_later_event_supersedes(happened: float | None, sent: float, *, expected: bool) -> None:
    """Later by the producers' word and by our own clock: a call sent before the event left a newer token alive."""
    at = after(sent) + timedelta(milliseconds=100)
    call = row(**LATER | {"occurred_at": None if happened is None else after(happened), "at": at})
    assert supersedes(call, row()) is expected
    assert not supersedes(row(**LATER | {"at": None}), row()), "nobody has spoken of it yet"
    assert not supersedes(row(**LATER), row(occurred_at=None))


TARGETS: Final = {
    (WIDE, USER): "the user",
    (WIDE, OTHER_USER): "another user",
    (WIDE, None): "a user-wide call of an earlier version",
    (SESSION, TOKEN): "a session",
    (SESSION, OTHER_TOKEN): "another session",
    (SESSION, None): "a session's call of an earlier version",
    (None, None): "a unit that never became a call",
}


@in_one_test
@pytest.mark.parametrize(("call", "dead"), list(product(TARGETS, TARGETS)), ids=lambda each: TARGETS[each])
@pytest.mark.parametrize("persons", [(ADA, ADA), (ADA, BOB), (ADA, None), (None, ADA), (None, None)])
def test_the_same_target_or_every_name(call: Any, dead: Any, persons: tuple[str | None, str | None]) -> None:
    """A user's id outweighs all names; for a session they decide, and only where all of them agree."""
    (operation, target), (dead_operation, dead_target) = call, dead
    the_same = target is not None and target == dead_target
    by_names = operation == WIDE and dead_operation != WIDE and persons == (ADA, ADA)
    found = supersedes(
        row(**LATER, operation=operation, target=target, person=persons[0]),
        row(operation=dead_operation, target=dead_target, person=persons[1]),
    )
    assert found is (the_same or by_names)


@pytest.mark.parametrize(("dead", "expected"), [({}, True), ({"operation": SESSION, "target": TOKEN}, False)])
def test_another_sources_names_supersede_nothing(dead: Mapping[str, Any], *, expected: bool) -> None:
    """Its call for the same user id does: that is what was hit, whoever asked for it."""
    assert supersedes(row(**LATER, source="urn:other"), row(**dead, source="urn:hr")) is expected
    assert supersedes(row(**LATER, source="urn:hr"), row(**dead, source="urn:hr"))


class Calls:
    """A ledger that counts its questions."""

    def __init__(self, *rows: CallRow, answers: Sequence[TokenAnswer] = ()) -> None:
        self.rows, self.asked = rows, 0
        self.answers = answers

    def calls_alike(self, *, target: str | None = None, person: str | None = None) -> list[CallRow]:
        """As the ledger's."""
        self.asked += 1
        return [each for each in self.rows if each.target == target or each.person == person]

    def answers_around(self, provider: str, at: datetime) -> list[TokenAnswer]:
        """As the ledger's."""
        del provider, at
        return list(self.answers)


def test_the_ledger_is_asked_once_for_each_target_and_person() -> None:
    """A hundred dead letters of one person cost as much as one."""
    calls = Calls(row(**LATER))
    is_superseded = superseding(calls)
    assert all(is_superseded(row(operation=operation)) for operation in [WIDE, SESSION] * 50)
    assert not is_superseded(row(target=None, person=None))
    assert calls.asked == 2


@pytest.mark.parametrize(("people", "expected"), [(PEOPLE - 1, True), (PEOPLE, False)])
@pytest.mark.parametrize("state", [State.ALREADY_REVOKED, State.ACCEPTED])
def test_the_word_of_an_instance_in_doubt_supersedes_nothing(state: State, people: int, *, expected: bool) -> None:
    """A wrong organization calls every token dead already, this one as well; what it accepted is another thing."""
    later = row(**LATER | {"state": state})
    assert later.at is not None
    dead = [TokenAnswer(later.at, f"p{number}", State.ALREADY_REVOKED) for number in range(people)]
    is_superseded = superseding(Calls(later, answers=dead))
    assert is_superseded(row()) is (expected or state is State.ACCEPTED)
