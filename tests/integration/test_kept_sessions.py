"""What the session registry keeps: how much, how long, and what of it can be read."""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from registered_sessions import NOON, disabled, ended, event, names, planned, plans, registry, session, settle, started

from benchmarks.scale.plans import plans_of, whole_tables
from tasks.events import Event
from tasks.outcome import Reason, State
from worker.intake.registry import store
from worker.intake.registry.registry import SessionRegistry
from worker.ledger import Ledger

pytest_plugins = ["ledger_fixtures", "registry_fixtures"]


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


def test_where_everything_has_gone_there_is_room_again(ledger: Ledger, ledger_url: str) -> None:
    """An empty registry counts nothing: it does not go on with what it counted before."""
    assert store.count(ledger.database) == {}
    with registry(ledger_url, max_sessions=1) as known:
        planned(known, started(0, session("a")))
        settle(ledger, known, disabled(5))
        known.count()
        assert refused(known, started(20, session("b"))) == []


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
