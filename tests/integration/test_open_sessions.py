"""What operators see of the session registry: who has sessions that nothing ended."""

from dataclasses import replace

from registered_sessions import NOON, SUBJECTS, disabled, ended, planned, plans, session, settle, started

from worker.intake.plan_record import plan_record
from worker.intake.registry import store
from worker.intake.registry.registry import SessionRegistry
from worker.ledger import Ledger
from worker.operations.explain import explain
from worker.operations.standings import Verdict
from worker.settings import Settings

pytest_plugins = ["ledger_fixtures", "registry_fixtures"]


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
