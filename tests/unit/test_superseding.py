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
from worker.operations.standings import Verdict, standings_of, verdict_on
from worker.operations.superseding import supersedes, superseding, taken_back, takes_back

NOON: Final = datetime(2026, 5, 4, 12, tzinfo=UTC)
WIDE: Final = genesys.DELETE_TOKEN
SESSION: Final = genesys.DELETE_TOKENS_ME
PROVEN: Final = {State.ACCEPTED, State.CONFIRMED, State.ALREADY_REVOKED}
USER, OTHER_USER, TOKEN, OTHER_TOKEN = "user-1", "user-2", "token-1", "token-2"
ADA, BOB = "all-names-of-ada", "all-names-of-bob"


def row(**told: Any) -> CallRow:
    """A user-wide call at noon that is dead, but for what is told."""
    nothing: dict[str, Any] = dict.fromkeys(CallRow.__dataclass_fields__)
    known = {"kind": "call", "provider": "genesys", "operation": WIDE, "state": State.DEAD, "detail": {}, "change": 0}
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


class Record(Calls):
    """A ledger that is asked of many rows at once, too."""

    def telling_calls_of_targets(self, targets: set[str]) -> list[CallRow]:
        """As the ledger's."""
        return [each for each in self.rows if each.target in targets]

    def kills_of_persons(self, persons: set[str], *, operations: frozenset[str]) -> list[CallRow]:
        """As the ledger's."""
        return [each for each in self.rows if each.person in persons and each.operation in operations]


def test_the_ledger_is_asked_once_for_each_target_and_person() -> None:
    """A hundred dead letters of one person cost as much as one."""
    calls = Calls(row(**LATER))
    is_superseded = superseding(calls)
    assert all(is_superseded(row(operation=operation)) for operation in [WIDE, SESSION] * 50)
    assert not is_superseded(row(target=None, person=None))
    assert calls.asked == 2


def test_the_ledger_is_asked_for_the_kills_of_a_person_only_for_sessions() -> None:
    """Of a user-wide call only what hit that user tells; an account that is disabled often has thousands of kills."""
    asked: list[set[str]] = []

    class Asked(Record):
        def kills_of_persons(self, persons: set[str], *, operations: frozenset[str]) -> list[CallRow]:
            """Note who was asked for."""
            asked.append(persons)
            return super().kills_of_persons(persons, operations=operations)

    rows = [row(operation=WIDE, person=ADA), row(operation=SESSION, target=TOKEN, person=BOB)]
    for some in (rows[:1], rows):
        assert [each.verdict for each in standings_of(Asked(), some)] == [Verdict.NOT_YET_OUT] * len(some)  # type: ignore[arg-type]
    assert asked == [{BOB}]


@pytest.mark.parametrize(("people", "expected"), [(PEOPLE - 1, True), (PEOPLE, False)])
@pytest.mark.parametrize("state", [State.ALREADY_REVOKED, State.ACCEPTED])
def test_the_word_of_an_instance_in_doubt_supersedes_nothing(state: State, people: int, *, expected: bool) -> None:
    """A wrong organization calls every token dead already, this one as well; what it accepted is another thing."""
    later = row(**LATER | {"state": state})
    assert later.at is not None
    dead = [TokenAnswer(later.at, f"p{number}", State.ALREADY_REVOKED) for number in range(people)]
    is_superseded = superseding(Calls(later, answers=dead))
    assert is_superseded(row()) is (expected or state is State.ACCEPTED)


DISABLED: Final[dict[str, Any]] = {"event_type": "user.disabled", "source": "urn:hr"}
ENABLED: Final[dict[str, Any]] = {
    "event_type": "user.enabled",
    "source": "urn:hr",
    "operation": None,
    "state": State.ENABLED,
}


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({}, True),
        ({"source": "urn:other"}, False),
        ({"provider": "genesys-eu"}, False),
        ({"target": OTHER_USER}, False),
        ({"state": State.NO_SESSION_KNOWN}, False),
        ({"occurred_at": NOON}, False),
        ({"occurred_at": after(-1)}, False),
        ({"occurred_at": None}, False),
        ({"at": NOON}, False),
        ({"at": None}, False),
    ],
)
def test_the_same_source_takes_an_older_call_for_the_same_user_back(
    other: Mapping[str, Any], *, expected: bool
) -> None:
    """Exactly that user at that instance; at the same moment, or where it came no later, the user is disabled."""
    enabled = row(**{**ENABLED, "occurred_at": after(1), "at": after(2), **other})
    assert takes_back(enabled, row(**DISABLED)) is expected
    assert taken_back(Calls(enabled))(row(**DISABLED)) is expected


@pytest.mark.parametrize(
    "other", [{"operation": SESSION, "target": TOKEN}, {"event_type": "user.compromised"}, {"target": None}]
)
def test_nothing_but_a_call_of_a_disabled_user_is_taken_back(other: Mapping[str, Any]) -> None:
    """A session that the event lists is ended: its token is older than that the user is enabled."""
    enabled = row(**ENABLED, occurred_at=after(1), at=after(2), target=other.get("target", USER))
    assert not taken_back(Calls(enabled))(row(**{**DISABLED, **other}))


SPARED: Final = {**DISABLED, "state": State.SUPERSEDED}


def test_what_lives_on_after_a_success_is_not_out() -> None:
    """A provider that ends refresh tokens only did what it can: whoever reads OUT must be able to rely on it."""
    rows = [row(**DISABLED, state=State.ACCEPTED, detail={"partial": "access tokens, for an hour"})]
    verdict, text = verdict_on(standings_of(Record(*rows), rows))  # type: ignore[arg-type]
    assert verdict is Verdict.IN_PART
    assert text == "OUT IN PART: genesys leaves alive: access tokens, for an hour"


@pytest.mark.parametrize("left", [{**ENABLED, "occurred_at": after(1)}, SPARED], ids=["enabled", "superseded"])
def test_who_is_enabled_again_is_not_out(left: Mapping[str, Any]) -> None:
    """Until the user is disabled once more, and that call is known to have killed what there was."""
    rows = [row(**left)]
    standings = standings_of(Record(*rows), rows)  # type: ignore[arg-type]
    assert verdict_on(standings)[0] is Verdict.ENABLED
    again = row(**DISABLED, **LATER | {"occurred_at": after(2), "at": after(3)})
    standings = standings_of(Record(*rows, again), [*rows, again])  # type: ignore[arg-type]
    assert verdict_on(standings)[0] is Verdict.OUT


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({}, Verdict.OUT),
        ({"state": State.ACCEPTED, "operation": SESSION}, Verdict.OUT),
        ({"occurred_at": after(1)}, Verdict.ENABLED),
        ({"source": "urn:other"}, Verdict.ENABLED),
        ({"person": BOB}, Verdict.ENABLED),
        ({"person": None}, Verdict.ENABLED),
        ({"provider": "wibmo"}, Verdict.ENABLED),
        ({"event_type": "session.ended"}, Verdict.ENABLED),
        ({"state": State.SUPERSEDED}, Verdict.ENABLED),
        ({"state": State.DEAD}, Verdict.NOT_YET_OUT),
    ],
)
def test_where_nothing_can_be_compared_the_latest_event_of_the_source_counts(
    other: Mapping[str, Any], expected: Verdict
) -> None:
    """A provider that ends no user's sessions, or whose user id is not known: as far as OUT goes there at all."""
    at_finbourne = {"provider": "finbourne", "target": None}
    enabled = row(**ENABLED | at_finbourne | {"occurred_at": after(1)})
    usual: dict[str, Any] = {
        **DISABLED,
        **at_finbourne,
        "operation": None,
        "state": State.NO_SESSION_KNOWN,
        "occurred_at": after(2),
    }
    rows = [enabled, row(**{**usual, **other})]
    assert verdict_on(standings_of(Record(), rows))[0] is expected  # type: ignore[arg-type]


def test_whom_nobody_logged_out_yet_outweighs_who_is_enabled() -> None:
    """The worst counts."""
    rows = [row(**SPARED), row(**DISABLED, occurred_at=after(2))]
    assert verdict_on(standings_of(Record(), rows))[0] is Verdict.NOT_YET_OUT  # type: ignore[arg-type]
