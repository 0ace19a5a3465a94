"""The session registry in the intake: behind its guards, before its confirms, and while the ledger is away."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from intakes import CALLS, DEAD, Arrived, Broker, handled
from prepared_ledgers import make_file
from registered_sessions import ADA, CATALOGUE, LIMITED, planned, registry, session, started
from registered_sessions import disabled as disabled_then

from tasks.events import EVENT_TYPES
from worker.broker.provenance import ProvenanceMac
from worker.broker.publication import Message, Unconfirmed
from worker.database.errors import LedgerUnavailable
from worker.database.thread import DatabaseThread
from worker.intake.authorization import Authorizer
from worker.intake.dedup import Deduplicator
from worker.intake.flood.gate import FloodGate
from worker.intake.flood.window import Limits
from worker.intake.intake import Controls, Intake
from worker.intake.registry.registry import SessionRegistry, open_registry
from worker.settings import Settings
from worker.settings.sections import SourceSettings

Begin = Callable[..., Intake]
USER_ID = "4f1d6a0e-8d5b-4b7e-9b0c-2a1f0d6c9e77"


@pytest.fixture
def line() -> Broker:
    """A broker that confirms everything until told otherwise."""
    return Broker()


@pytest.fixture
def begin(tmp_path: Path, line: Broker) -> Iterator[Begin]:
    """Start the intake of one more process on one ledger; *many*: how many people may be disabled."""
    url = make_file(f"sqlite:///{tmp_path / 'ledger.sqlite3'}")
    source = SourceSettings(source="urn:test", trusted=True, types=frozenset(EVENT_TYPES))
    with ExitStack() as opened:

        def started(many: int = 100, *, is_on: bool = True, kept: SessionRegistry | None = None) -> Intake:
            thread = opened.enter_context(closing(DatabaseThread(url)))
            known = kept or (opened.enter_context(registry(url)) if is_on else None)
            many_of = dict.fromkeys(EVENT_TYPES, many)
            gate = FloodGate(thread, Limits(600, many_of, many_of, {}))
            dedup = Deduplicator(thread, dict.fromkeys(EVENT_TYPES, timedelta(days=2)), timedelta(days=30))
            authorizer = Authorizer({"test": source}, proves_users=False)
            publisher: Any = line
            return Intake(CATALOGUE, publisher, Controls(ProvenanceMac(b"k" * 32), authorizer, dedup, gate), known)

        yield started


def told(kind: str, seconds_ago: float, data: Mapping[str, Any], event_id: str = "") -> Arrived:
    """An event that happened so many seconds ago."""
    at = (datetime.now(UTC) - timedelta(seconds=seconds_ago)).isoformat()
    return Arrived({"id": event_id or f"{kind}-{seconds_ago}", "type": kind, "time": at, "data": data}, kind)


def begun(*sessions: Mapping[str, Any], ago: float = 60) -> Arrived:
    """A session.started."""
    return told("session.started", ago, {"sub_id": ADA, "sessions": [*sessions]})


def disabled(ago: float = 30, who: Mapping[str, Any] = ADA, **data: Any) -> Arrived:
    """A user.disabled, of a user whose id at genesys is known."""
    return told("user.disabled", ago, {"sub_id": who, "accounts": {"genesys": {"user_id": USER_ID}}, **data})


def calls(messages: list[Message]) -> list[str]:
    """The operations and the credentials of the calls among *messages*."""
    found = [json.loads(each.body)[0][0] for each in messages if each.exchange == CALLS]
    return sorted(f"{call['operation']} {call['jwe'] or call['token_reference_id'] or 'user'}" for call in found)


def reasons(messages: list[Message]) -> list[str]:
    """Those of the dead letters among *messages*."""
    return [str(each.headers["x-dead-reason"]) for each in messages if each.exchange == DEAD]


def test_what_began_becomes_nothing_until_it_is_ended(begin: Begin, line: Broker) -> None:
    """No record, no call; then a call of its own beside the one for the whole user, in the same plan."""
    intake = begin()
    assert handled(intake, begun(session("s"), session("w", "wibmo"))) == []
    assert line.sent == []
    assert handled(intake, disabled()) == []
    assert [each.split(" ")[0] for each in calls(line.confirmed)] == [
        "finbourne.invalidate_token",
        "genesys.delete_token",
        "wibmo.invalidate_token",
    ]
    assert "no_session_known" not in str(line.confirmed)


def test_killed_before_the_confirm_an_intake_leaves_the_same_to_the_next(begin: Begin, line: Broker) -> None:
    """What was registered stays, what was planned is planned again, with the same ids; nothing is missed."""
    arrived, gone = begun(session("s")), disabled()
    killed: Any = [arrived, gone]
    begin().begin(killed)  # sent, never completed
    first = {each.correlation_id for each in line.sent if each.exchange == CALLS}
    line.sent.clear()
    assert handled(begin(), gone, arrived) == []
    assert {each.correlation_id for each in line.sent if each.exchange == CALLS} >= first
    assert len(first) == 3  # of what comes in one batch with its end, the start and the end become a call each


def test_copies_become_nothing_more(begin: Begin, line: Broker) -> None:
    """A start and an end, each delivered twice, to two processes."""
    one, other = begin(), begin()
    arrived, gone = begun(session("s")), disabled()
    for intake in (one, other):
        assert handled(intake, arrived) == []
    for intake in (other, one):
        assert handled(intake, gone) == []
    assert len(calls(line.confirmed)) == 2


def test_what_a_flood_holds_back_ends_nothing(begin: Begin, line: Broker) -> None:
    """A session that begins then lives; more names of one kind count as more people."""
    intake = begin(many=1)
    emails = [{"format": "email", "email": f"{name}@example.com"} for name in ("ada", "bob")]
    assert handled(intake, disabled(ago=20, who={"format": "aliases", "identifiers": emails})) == []
    assert reasons(line.confirmed) == ["guard.flood"]
    assert handled(intake, begun(session("s"))) == []
    assert calls(line.confirmed) == []


def test_a_session_that_finds_no_room_is_a_dead_letter(begin: Begin, line: Broker, tmp_path: Path) -> None:
    """One for each provider, with all that a replay needs."""
    with registry(f"sqlite:///{tmp_path / 'ledger.sqlite3'}", max_of_person=1) as small:
        intake = begin(kept=small)
        assert handled(intake, begun(session("a"), session("b"), session("w", "wibmo"))) == []
    assert sorted(reasons(line.confirmed)) == ["registry.full"]
    assert {each["provider"] for each in json.loads(line.confirmed[0].body)["letters"]} == {"finbourne", "wibmo"}


class Away(SessionRegistry):
    """A registry that does not answer until it *is_back*."""

    is_back = False

    def _asked(self, question: Any) -> Any:
        if not self.is_back:
            self._availability.lost(LedgerUnavailable("gone"))
            return None
        return super()._asked(question)


@pytest.fixture
def away(tmp_path: Path) -> Iterator[Away]:
    """It, on the ledger of the intakes."""
    with registry(f"sqlite:///{tmp_path / 'ledger.sqlite3'}", of=Away) as opened:
        assert isinstance(opened, Away)
        yield opened


def test_while_the_registry_is_away_what_needs_none_goes_out_and_the_event_stays(
    begin: Begin, line: Broker, away: Away
) -> None:
    """The user's own call goes at once and once; the rest and the record follow, and nothing is said to be unknown."""
    intake, arrived, gone = begin(kept=away), begun(session("s")), disabled()
    by_id = told("session.ended", 5, {"session_ids": ["1"]})
    listed = told("session.ended", 4, {"sessions": [session("t")]})
    assert handled(intake, arrived, gone, by_id, listed) == [arrived, gone, by_id]
    assert handled(intake, arrived, gone, by_id) == [arrived, gone, by_id]
    assert [each.split(" ")[0] for each in calls(line.confirmed)] == [
        "finbourne.invalidate_token",
        "genesys.delete_token",
    ]
    assert len(line.confirmed) == 3  # and the record of what lists its session
    away.is_back = True
    assert handled(intake, arrived, gone, by_id) == []
    assert len(calls(line.confirmed)) == 4  # of what comes in one batch with its end, a call for each of both
    assert reasons(line.confirmed) == []


def test_what_the_broker_does_not_take_is_resolved_again(begin: Begin, line: Broker) -> None:
    """Its calls that were confirmed are not published twice."""
    intake, gone = begin(), disabled()
    handled(intake, begun(session("s")))
    line.fate = lambda message: None if message.exchange == CALLS else Unconfirmed("no confirm")
    assert handled(intake, gone) == [gone]
    line.fate = lambda _: None
    assert handled(intake, gone) == []
    assert len(calls(line.sent)) == 2


def test_without_a_registry_what_needs_one_is_refused(begin: Begin, line: Broker) -> None:
    """Visibly, with what a replay needs; an event that lists its sessions is what it was."""
    intake = begin(is_on=False)
    by_id = told("session.ended", 5, {"session_ids": ["1"]})
    assert handled(intake, begun(session("s")), by_id, disabled()) == []
    assert reasons(line.confirmed) == ["event.no_registry"] * 2
    assert len(calls(line.confirmed)) == 1


def test_what_a_source_reaches_is_read_from_its_settings(tmp_path: Path) -> None:
    """The registry of a process knows the limit that authorisation knows."""
    url = make_file(f"sqlite:///{tmp_path / 'ledger.sqlite3'}")
    told = Settings.of({"ledger_url": url, "subject_key": "k" * 32, "registry": {"enabled": True}})
    limited = SourceSettings(source=LIMITED, trusted=True, providers=frozenset({"wibmo"}))
    with open_registry(told.model_copy(update={"sources": {"hr": limited}}), CATALOGUE) as known:
        assert known is not None
        planned(known, started(0, session("f"), session("w", "wibmo")))
        assert planned(known, disabled_then(5, source=LIMITED)) == ["w"]
