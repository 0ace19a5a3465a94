"""The changes that the audit tells of, on each database; what release 0.1.0 wrote included."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from in_one_test import in_one_test
from ledger_records import START, after, entry
from replay_desk import SECRET
from sqlalchemy import insert, select, update
from tamperings import ENTRY, WHOLE, committed, forget, kinds, write

from worker.database.tables import audit_entries, audits
from worker.ledger import AuditEntry, AuditFilter, Ledger

pytest_plugins = ["ledger_fixtures"]


def earlier(number: int, **changed: object) -> dict[str, Any]:
    """A row of the audit as release 0.1.0 wrote it."""
    told = {"audit_id": f"old-{number}", "at": after(number), "actor": "olga", "action": "discard", "scope": "--all"}
    return {**told, "reason": "gone", "count": number, "result": f"{number} discarded", **changed}


def test_what_the_last_release_wrote_is_taken_over_once(ledger: Ledger) -> None:
    """In the order of time, with what came of it."""
    committed(ledger, lambda connection: connection.execute(insert(audits), [earlier(2), earlier(1)]))
    assert [(each.audit_id, each.kind) for each in ledger.audited(AuditFilter())] == [
        ("old-2", "outside"),
        ("old-1", "outside"),
    ]
    write(ledger, 3)
    verified = ledger.verify_audit()
    assert (kinds(verified), verified.entries, verified.taken_over, verified.outside) == (WHOLE, 3, 2, 0)
    found = ledger.audited(AuditFilter())
    assert [(each.action, each.kind, each.result) for each in found[1:]] == [
        ("discard", "taken over", "2 discarded"),
        ("discard", "taken over", "1 discarded"),
    ]
    forget(ledger, 99)
    assert (ledger.audited(AuditFilter()), ledger.verify_audit().outside) == ([], 0)


def test_what_the_last_release_writes_later_stands_outside(ledger: Ledger) -> None:
    """A replay that began before the upgrade, and an operator's machine that was not upgraded: both are shown."""
    committed(ledger, lambda connection: connection.execute(insert(audits), [earlier(1)]))
    write(ledger, 2)
    committed(ledger, lambda connection: connection.execute(update(audits).values(count=5, result="5 discarded")))
    committed(ledger, lambda connection: connection.execute(insert(audits), [earlier(4)]))
    assert (kinds(ledger.verify_audit()), ledger.verify_audit().outside) == (WHOLE, 2)
    assert [each.result for each in ledger.audited(AuditFilter()) if each.kind == "outside"] == [
        "4 discarded",
        "5 discarded",
    ]


def test_several_who_write_at_once_take_turns(ledger: Ledger, ledger_url: str) -> None:
    """One chain, without a gap and without a fork."""

    def write_ten(first: int) -> None:
        with closing(Ledger.open(ledger_url, audit_secret=SECRET)) as own:
            write(own, *range(first, first + 10))

    with ThreadPoolExecutor(4) as threads:
        [*threads.map(write_ten, (0, 100, 200, 300))]
    assert (ledger.verify_audit().entries, kinds(ledger.verify_audit())) == (40, WHOLE)


def test_what_no_database_keeps_is_kept_as_it_is_covered(ledger: Ledger) -> None:
    """NUL, half of a character, and what is long: the entry is as it was written."""
    told = "\0 \ud800 \U0001f511 é " + "x" * 100_000
    ledger.audit(replace(entry(), reason=told))
    assert kinds(ledger.verify_audit()) == WHOLE
    [found] = ledger.audited(AuditFilter())
    assert found.reason == told.replace("\0", "�").replace("\ud800", "?")


def test_a_change_is_one_however_many_entries_it_has(ledger: Ledger) -> None:
    """What was wanted is of the first; the counts add up, and the last result holds."""
    change = AuditEntry("olga", "replay", "--all", "mended", plan="9 at 5/s", at=START)
    ledger.audit(replace(change, result="begun"))
    ledger.audit(replace(entry("other"), at=START))
    ledger.audit(replace(change, scope="another", reason="another", plan="another", count=4, result="4 replayed"))
    ledger.audit(replace(change, count=1))
    other, found = ledger.audited(AuditFilter())
    assert (other.action, found.number, found.at) == ("other", 1, START)
    assert (found.scope, found.reason, found.plan) == ("--all", "mended", "9 at 5/s")
    assert (found.count, found.result) == (5, "4 replayed")
    assert ledger.verify_audit().entries == 4


@pytest.fixture
def told(ledger: Ledger) -> Ledger:
    """A ledger with four changes, a second apart."""
    changes = [("a1", "olga", "keys"), ("b1", "ann@desk", "provider.hold"), ("c1", "ann", "provider.release")]
    for number, (audit_id, actor, action) in enumerate([*changes, ("d1", "olga@desk", "keys")], 1):
        ledger.audit(AuditEntry(actor, action, "", "", number, "", after(number), audit_id))
    return ledger


@in_one_test
@pytest.mark.parametrize(
    ("where", "found"),
    [
        (AuditFilter(), [4, 3, 2, 1]),
        (AuditFilter(limit=2), [4, 3]),
        (AuditFilter(actor="olga"), [4, 1]),
        (AuditFilter(actor="olga@desk"), [4]),
        (AuditFilter(actor="olg"), []),
        (AuditFilter(action="provider"), [3, 2]),
        (AuditFilter(action="provider.hold"), [2]),
        (AuditFilter(action="provider.ho"), []),
        (AuditFilter(since=after(2), until=after(4)), [3, 2]),
        (AuditFilter(ids=("b", "c1")), [3, 2]),
        (AuditFilter(ids=("%", "_")), []),
    ],
)
def test_changes_are_found_by_who_what_and_when(told: Ledger, where: AuditFilter, found: list[int]) -> None:
    """Everything that is given must hold; the newest come first."""
    assert [each.count for each in told.audited(where)] == found


def test_an_entry_is_never_written_again(ledger: Ledger) -> None:
    """What a change came to is another entry."""
    write(ledger, 1)
    every = select(audit_entries).order_by(ENTRY.number)
    with ledger.database.reading() as connection:
        before = connection.execute(every).all()
    for step in range(3):
        ledger.audit(replace(entry("again"), result=str(step), at=START + timedelta(seconds=step)))
    with ledger.database.reading() as connection:
        assert connection.execute(every.limit(1)).all() == before
