"""The session registry, on each database: what began is ended by what comes later, or came before."""

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from registered_sessions import (
    ADA,
    CATALOGUE,
    LIMITED,
    NOON,
    SUBJECTS,
    disabled,
    enabled,
    ended,
    event,
    names,
    planned,
    plans,
    registry,
    session,
    started,
)

from benchmarks.scale.plans import plans_of, whole_tables
from tasks.call import Lane
from tasks.events import Event
from tasks.outcome import Reason, State
from tasks.records import CallOutcome
from worker.intake.plan_record import plan_record
from worker.intake.registry import store
from worker.intake.registry.registry import SessionRegistry
from worker.ledger import Ledger
from worker.operations.explain import explain
from worker.operations.standings import Verdict
from worker.settings import Settings

pytest_plugins = ["ledger_fixtures"]


@pytest.fixture
def known(ledger: Ledger, ledger_url: str) -> Iterator[SessionRegistry]:
    """An empty registry."""
    assert store.count(ledger.database) == {}
    with registry(ledger_url) as opened:
        yield opened


def test_a_user_disabled_ends_the_sessions_that_began_before(known: SessionRegistry) -> None:
    """At every provider that ends single sessions, by the credential as it was sealed; nobody else's."""
    bob = {"format": "email", "email": "bob@example.com"}
    before = started(0, session("f"), session("w", "wibmo"), session("g", "genesys"), session("x", "nobody"))
    [plan, _] = plans(known, before, started(1, session("b"), who=bob))
    assert [(each.provider, each.reason) for each in plan.refused] == [("nobody", Reason.ROUTE_UNKNOWN_PROVIDER)]
    assert not plan.calls
    [plan] = plans(known, disabled(10, {"format": "email", "email": "ADA@example.com"}))
    assert sorted(names(plan.calls)) == ["f", "g", "w"]
    assert not plan.units
    assert not plan.refused


def test_one_name_that_is_the_same_is_enough(known: SessionRegistry) -> None:
    """With its kind and its issuer: an id of another issuer is another person's."""
    issued = {"format": "iss_sub", "iss": "https://idp", "sub": "1"}
    planned(known, started(0, session("s"), who={"format": "aliases", "identifiers": [ADA, issued]}))
    assert planned(known, disabled(5, {**issued, "iss": "https://other"})) == []
    assert planned(known, disabled(6, {"format": "opaque", "id": "1"})) == []
    assert planned(known, disabled(7, {"format": "complex", "user": issued})) == ["s"]


def test_a_token_that_is_told_twice_is_found_by_the_names_of_both(known: SessionRegistry) -> None:
    """And kept until the later of both expiries."""
    soon, late = ((NOON + timedelta(hours=hours)).isoformat() for hours in (2, 9))
    planned(known, started(0, session("s", expires_at=late)))
    issued = {"format": "iss_sub", "iss": "https://idp", "sub": "1"}
    planned(known, started(1, session("s", expires_at=soon, session_id="1"), who=issued))
    assert planned(known, disabled(7)) == planned(known, disabled(8, issued)) == ["s"]
    assert planned(known, ended(9, "1")) == ["s"]


def test_a_start_that_comes_after_its_end_is_revoked_at_once(known: SessionRegistry) -> None:
    """Urgently, with the whole budget, and counted from the end; a younger session lives."""
    assert planned(known, disabled(10)) == []
    [old, young] = plans(known, started(4, session("old")), started(60, session("young")))
    [call] = old.calls
    assert (call.lane, call.occurred_at, call.deadline) == (
        Lane.URGENT,
        NOON + timedelta(seconds=10),
        NOON + timedelta(seconds=10, hours=1),
    )
    assert young.calls == ()
    assert planned(known, disabled(20)) == ["old"]  # until it is known to be dead


def test_within_the_leeway_a_session_counts_as_older_unless_the_person_was_enabled_in_between(
    known: SessionRegistry,
) -> None:
    """Clocks differ and sources round; by the word of another source nobody is enabled."""
    planned(known, disabled(10), event("user.enabled", 11, {"sub_id": ADA}, source="urn:other"))
    assert planned(known, started(12, session("a"))) == ["a"]
    planned(known, enabled(11))
    assert planned(known, started(12, session("b"))) == []
    assert planned(known, disabled(12)) == ["a", "b"]
    assert planned(known, started(18, session("c"))) == []


def test_a_session_is_ended_by_its_id_alone(known: SessionRegistry) -> None:
    """Wherever its tokens are; an id is its issuer's own, and a start that comes later is revoked."""
    planned(known, started(0, session("f", session_id="1"), session("w", "wibmo", session_id="1"), session("o")))
    assert planned(known, ended(5, "1", issuer="urn:other")) == []
    assert planned(known, ended(5, "1")) == ["f", "w"]
    assert planned(known, ended(5, "late")) == []
    assert planned(known, started(4, session("l", session_id="late"), session("m", session_id="other"))) == ["l"]


def test_a_source_ends_nothing_where_its_events_do_not_reach(known: SessionRegistry, ledger: Ledger) -> None:
    """Neither what began before nor what is told later: it lives, and counts as open."""
    both = session("f", session_id="1"), session("w", "wibmo", session_id="1")
    planned(known, started(0, *both))
    assert planned(known, disabled(5, source=LIMITED)) == ["w"]
    assert store.open_sessions(ledger.database, SUBJECTS.lookups("ada@example.com")) == {"finbourne": 1}
    assert planned(known, started(4, session("g"), session("v", "wibmo"))) == ["v"]
    by_id = {"session_ids": ["1"], "session_issuer": "urn:login"}
    assert planned(known, event("session.ended", 6, by_id, source=LIMITED)) == ["w"]
    assert planned(known, disabled(7)) == ["f", "g", "v", "w"]


def test_an_id_of_which_nothing_is_known_says_so(known: SessionRegistry, ledger: Ledger) -> None:
    """At each provider where it may have been; a replay says that the credentials are gone."""
    [plan] = plans(known, ended(5, "1"))
    assert {(each.provider, each.state, each.reason) for each in plan.units} == {
        (name, State.NO_SESSION_KNOWN, "not registered, or expired") for name in CATALOGUE.instances
    }
    plans(known, started(0, session("s", session_id="2")), ended(5, "2"))
    settle(ledger, known, disabled(6))
    [plan] = plans(known, ended(5, "2"))
    assert {each.reason for each in plan.units} == {"ended before, credentials gone"}


def settle(ledger: Ledger, known: SessionRegistry, event: Event, state: State = State.CONFIRMED) -> None:
    """Have the ledger learn that what *event* became is settled, and the registry what the ledger knows."""
    [plan] = plans(known, event)
    told = ("call_id", "source", "event_id", "event_type", "provider", "operation", "subject", "occurred_at")
    more = {"at": datetime.now(UTC), "state": state, "attempt": 1, "replays": 0}
    members = [{name: getattr(call, name) for name in (*told, "target_key")} for call in plan.calls]
    ledger.record([CallOutcome(**each, **more) for each in members])
    while known.tidy():
        pass


def test_a_session_goes_once_its_revocation_is_settled(known: SessionRegistry, ledger: Ledger) -> None:
    """While it is only tried again or dead it stays, so that a replay finds it; so it does where nothing was asked."""
    planned(known, started(0, session("s"), session("w", "wibmo")))
    settle(ledger, known, disabled(5), State.DEAD)
    assert store.count(ledger.database) == {"finbourne": 1, "wibmo": 1}
    settle(ledger, known, disabled(5))
    assert store.count(ledger.database) == {}
    planned(known, started(9, session("t")))
    settle(ledger, known, event("session.ended", 10, {"sessions": [session("t")]}))
    assert store.count(ledger.database) == {}


def test_what_has_expired_goes(known: SessionRegistry, ledger: Ledger) -> None:
    """Some minutes later, for clocks differ; what began expired is not kept at all, and names go with sessions."""
    past, soon = ((datetime.now(UTC) + timedelta(minutes=minutes)).isoformat() for minutes in (-6, 1))
    planned(known, started(0, session("gone", expires_at=past), session("s", expires_at=soon)), ended(1, "x"))
    assert not known.tidy()
    assert store.forget(ledger.database, datetime.now(UTC) + timedelta(minutes=7)) == 1
    assert store.forget(ledger.database, datetime.now(UTC) + timedelta(days=3)) == 1
    assert rows(ledger, "registry_sessions") + rows(ledger, "registry_names") + rows(ledger, "registry_ends") == 0


def rows(ledger: Ledger, table: str) -> int:
    """How many rows *table* has."""
    with ledger.database.reading() as connection:
        return int(connection.execute(sa.text(f"SELECT count(*) FROM {table}")).scalar_one())  # noqa: S608 - ours


def test_what_finds_no_room_is_refused(ledger: Ledger, ledger_url: str) -> None:
    """Of one person and in all; what is known has its place, and what must not live is revoked all the same."""
    assert store.count(ledger.database) == {}
    bob, eve = ({"format": "email", "email": f"{name}@example.com"} for name in ("bob", "eve"))
    with registry(ledger_url, max_of_person=2, max_sessions=3, max_days=1) as known:
        assert refused(known, started(0, session("a"), session("b"), session("c"))) == [Reason.REGISTRY_FULL]
        assert refused(known, started(1, session("a"), session("b"))) == []
        assert refused(known, started(2, session("d"), session("e"), who=bob)) == [Reason.REGISTRY_FULL]
        planned(known, disabled(9, eve))
        assert planned(known, started(3, session("f"), who=eve)) == ["f"]
        late = session("l", expires_at=(NOON + timedelta(days=2)).isoformat())
        assert refused(known, started(4, late)) == [Reason.REGISTRY_TOO_LONG]
        assert planned(known, disabled(9)) == ["a", "b"]


def test_what_cannot_be_decrypted_is_refused_and_never_silent(known: SessionRegistry, ledger: Ledger) -> None:
    """A row that somebody changed: its session lives on, and an operator hears of it; the others are ended."""
    planned(known, started(0, session("a"), session("w", "wibmo", session_id="s1")))
    with ledger.database.writing() as connection:
        connection.execute(
            sa.text("UPDATE registry_sessions SET sealed = :junk WHERE provider = 'wibmo'"), {"junk": b"x"}
        )
    for end in (disabled(9), ended(9, "s1")):
        [plan] = plans(known, end)
        assert [(each.provider, each.reason) for each in plan.refused] == [("wibmo", Reason.REGISTRY_UNREADABLE)]
        assert names(plan.calls) == (["a"] if end.type == "user.disabled" else [])
        assert not [unit for unit in plan.units if unit.provider == "wibmo"]


def refused(known: SessionRegistry, event: Event) -> list[Reason]:
    """Why parts of *event* are dead letters."""
    [plan] = plans(known, event)
    assert not plan.calls
    return [each.reason for each in plan.refused]


def test_what_is_over_is_found_along_indexes(known: SessionRegistry, ledger: Ledger) -> None:
    """Every second, so neither all sessions nor all calls of a state are read for it; a person's are found likewise."""
    planned(known, started(0, session("s"), session("w", "wibmo")), disabled(5))
    tables = {"calls", "registry_sessions", "registry_names", "registry_ends"}
    for ask in (lambda: store.forget(ledger.database, NOON), lambda: store.open_sessions(ledger.database, ["x"])):
        plans = plans_of(ledger.database, ask, indexes_only=True)
        assert whole_tables(ledger.database, plans, tables) == []
        if ledger.database.engine.name == "sqlite":
            assert "calls_by_state" not in str(plans)


def test_nothing_that_opens_or_names_is_readable(known: SessionRegistry, ledger: Ledger) -> None:
    """Sealed tokens are encrypted once more, references as well; people and ids are keyed hashes."""
    planned(known, started(0, session("jwe-of-ada"), session("reference-1", "wibmo", session_id="sid-1")), disabled(1))
    with ledger.database.reading() as connection:
        found = [
            str(value)
            for table in ("registry_sessions", "registry_names", "registry_ends")
            for row in connection.execute(sa.text(f"SELECT * FROM {table}"))  # noqa: S608 - ours
            for value in row
        ]
    assert len(found) > 10
    assert not [
        value for value in found for secret in ("jwe-of-ada", "reference-1", "sid-1", "ada@") if secret in value
    ]


def test_operators_see_how_many_sessions_are_open(known: SessionRegistry, ledger: Ledger) -> None:
    """By any name of the person, without those that are being ended."""
    planned(known, started(0, session("a"), session("w", "wibmo", session_id="1")), started(1, session("b")))
    assert store.open_sessions(ledger.database, SUBJECTS.lookups("Ada@Example.com")) == {"finbourne": 2, "wibmo": 1}
    planned(known, ended(2, "1"))
    assert store.open_sessions(ledger.database, SUBJECTS.lookups("ada@example.com")) == {"finbourne": 2}


def test_somebody_who_logged_in_after_all_was_ended_is_not_told_out(known: SessionRegistry, ledger: Ledger) -> None:
    """With a session that nothing ended; without the registry `explain` says of it what it says of any other."""
    on, off = (Settings.of({"subject_key": "k" * 32, "registry": {"enabled": each}}) for each in (True, False))
    planned(known, started(0, session("a")))
    [plan] = plans(known, end := disabled(5))
    ledger.record([plan_record(end, replace(plan, units=()), NOON)])
    settle(ledger, known, end)
    found = explain(on, ledger, "ada@example.com")
    assert (found.worst.verdict, found.registry) == (Verdict.OUT, ["session registry: no session is open"])
    planned(known, started(20, session("b"), session("w", "wibmo")))
    found = explain(on, ledger, "Ada@example.com")
    assert (found.worst.verdict, found.worst.text[:15]) == (Verdict.ENABLED, "LOGGED IN AGAIN")
    assert found.registry == ["session registry: open sessions: 1 at finbourne, 1 at wibmo"]
    found = explain(off, ledger, "ada@example.com")
    assert (found.worst.verdict, found.registry) == (Verdict.OUT, [])


def test_of_a_start_and_an_end_at_the_same_time_one_sees_the_other(ledger_url: str, ledger: Ledger) -> None:
    """Two intakes, many times: whoever is second plans the call."""
    assert store.count(ledger.database) == {}
    with registry(ledger_url) as one, registry(ledger_url) as other:
        for n in range(20):
            who = {"format": "email", "email": f"ada-{n}@example.com"}
            found = at_once(
                partial(planned, one, started(n, session(f"s{n}"), who=who)),
                partial(planned, other, disabled(n + 0.5, who)),
            )
            assert [each for each in found if each] == [[f"s{n}"]]


def at_once(*jobs: Callable[[], list[str]]) -> list[list[str]]:
    """What *jobs* return, which are begun at the same time."""
    barrier, found = threading.Barrier(len(jobs)), list[list[str]]()

    def run(job: Callable[[], list[str]]) -> None:
        barrier.wait()
        found.append(job())

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return found


TIMES = st.integers(0, 30)
WHO = st.sampled_from(["ada", "bob"])
ANY = st.one_of(
    st.tuples(st.just("started"), TIMES, WHO, st.integers(0, 5)),
    st.tuples(st.just("disabled"), TIMES, WHO, st.just(0)),
    st.tuples(st.just("enabled"), TIMES, WHO, st.just(0)),
    st.tuples(st.just("ended"), TIMES, st.just(""), st.integers(0, 5)),
)


@given(st.lists(ANY, max_size=14, unique=True), st.data())
@settings(max_examples=30, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_in_any_order_no_session_lives_that_something_ended(
    tmp_path: Path, told: list[tuple[str, int, str, int]], data: st.DataObject
) -> None:
    """Started, ended, disabled and enabled in random orders and batches, some told twice: what was ended has a call.

    And nothing has one that nothing ended, but for what is within the leeway.
    """
    url = f"sqlite:///{tmp_path / 'ledger.sqlite3'}"
    if not Path(tmp_path, "ledger.sqlite3").exists():
        with closing(Ledger.open(url)) as ledger:
            ledger.upgrade()
    run = uuid.uuid4()  # none that was drawn before: all examples have one ledger
    deliveries = data.draw(
        st.permutations([*told, *data.draw(st.lists(st.sampled_from(told), max_size=3) if told else st.just([]))])
    )
    found = set[str]()
    with registry(url) as known:
        while deliveries:
            size = data.draw(st.integers(1, len(deliveries)))
            found.update(planned(known, *(made(run.hex, *each) for each in deliveries[:size])))
            deliveries = deliveries[size:]
    for kind, at, who, n in told:
        if kind == "started":
            ends = [
                time
                for what, time, whom, id_ in told
                if (what, whom) == ("disabled", who) or (what, id_) == ("ended", n)
            ]
            name = f"{run.hex}-{at}-{who}-{n}"
            if any(at <= time for time in ends):
                assert name in found
            if not any(at <= time + 5 for time in ends):
                assert name not in found


def made(run: str, kind: str, at: int, who: str, n: int) -> Event:
    """The event that is *told*, in a world of its own."""
    sub_id = {"format": "email", "email": f"{who}-{run}@example.com"}
    match kind:
        case "started":
            return started(at, session(f"{run}-{at}-{who}-{n}", session_id=f"{run}-{n}"), who=sub_id)
        case "ended":
            return ended(at, f"{run}-{n}")
        case _:
            return event(f"user.{kind}", at, {"sub_id": sub_id})
