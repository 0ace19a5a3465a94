"""The audit as a chain, on each database: what somebody does to it is found, and stops nobody from writing on."""

import itertools
from contextlib import closing
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from in_one_test import in_one_test
from sqlalchemy import delete, select, text
from tamperings import (
    COLUMNS,
    LENGTH,
    NUMBERS,
    WHOLE,
    Tampering,
    changed,
    committed,
    copied,
    ends,
    every_tampering,
    executed,
    forget,
    kinds,
    removed,
    swapped,
    tampered,
    write,
)

from worker.database.tables import audit_ends
from worker.ledger import AuditFilter, Head, Ledger
from worker.ledger.audit_check import FaultKind

pytest_plugins = ["ledger_fixtures"]


@pytest.fixture
def chain(ledger: Ledger) -> Ledger:
    """A ledger with an audit of LENGTH entries."""
    write(ledger, *range(1, LENGTH + 1))
    return ledger


def test_a_chain_that_nobody_touched_is_whole(chain: Ledger) -> None:
    """Its head is the newest entry."""
    verified = chain.verify_audit()
    assert (verified.entries, verified.fault_count, verified.taken_over, verified.outside) == (LENGTH, 0, 0, 0)
    assert verified.head is not None
    assert (verified.head.number, Head.parse(str(verified.head))) == (LENGTH, verified.head)
    assert chain.audit_length() == LENGTH


def test_whatever_somebody_does_to_the_chain_is_found(chain: Ledger) -> None:
    """Every column of every entry, every range, every two, every place, and both ends."""
    found = {name: tampered(chain, tampering) for name, tampering in every_tampering()}
    assert len(found) > 150
    assert [name for name, verified in found.items() if verified is None or not verified.fault_count] == []
    assert chain.verify_audit().fault_count == 0


TEXTS: Final = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5)
VALUES: Final = {name: st.integers(-(2**63), 2**63 - 1) if name in NUMBERS else TEXTS for name in COLUMNS}
PLACES: Final = st.integers(1, LENGTH)
TAMPERINGS: Final = st.lists(
    st.one_of(
        *(st.builds(changed, PLACES, st.just(name), VALUES[name]) for name in COLUMNS if name != "number"),
        st.builds(removed, PLACES, PLACES),
        st.builds(swapped, PLACES, PLACES),
        st.builds(copied, PLACES, st.integers(0, LENGTH + 2)),
        st.builds(lambda forgotten, last: ends(forgotten=forgotten, last=last), PLACES, PLACES),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TAMPERINGS)
def test_several_changes_do_not_hide_each_other(chain: Ledger, tamperings: list[Tampering]) -> None:
    """In any order, to any values."""
    verified = tampered(chain, *tamperings)
    assert verified is None or verified.fault_count


@in_one_test
@pytest.mark.parametrize(
    ("tampering", "told"),
    [
        (changed(3, "reason", "another"), [(FaultKind.CHANGED, 3, 3)]),
        (removed(2, 3), [(FaultKind.MISSING, 2, 3)]),
        (removed(5, 6), [(FaultKind.MISSING, 5, 6)]),
        (swapped(2, 4), [(FaultKind.CHANGED, 2, 2), (FaultKind.CHANGED, 4, 4)]),
        (ends(last=3), [(FaultKind.ENDS, None, None)]),
    ],
)
def test_a_fault_is_told_with_its_place(chain: Ledger, tampering: Tampering, told: list[tuple[object, ...]]) -> None:
    """Each once: its neighbours are as they were written."""
    verified = tampered(chain, tampering)
    assert verified is not None
    assert [(fault.kind, fault.first, fault.last) for fault in verified.faults] == told


@pytest.mark.parametrize(
    "tampering",
    [
        removed(5, 6),
        removed(0, 99),
        changed(6, "mac", "0" * 64),
        ends(last=3),
        ends(forgotten=-1, seal=""),
        lambda connection: connection.execute(delete(audit_ends)),
    ],
)
def test_a_changed_end_stops_no_operator_and_is_told_ever_after(chain: Ledger, tampering: Tampering) -> None:
    """Whoever can write the ledger must not keep a provider from being held; and the next entry covers up nothing."""
    committed(chain, tampering)
    write(chain, 7)
    write(chain, 8)
    assert [each.action for each in chain.audited(AuditFilter(limit=2))] == ["action.8", "action.7"]
    assert FaultKind.BREAK in kinds(chain.verify_audit())


@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
def test_what_is_no_value_of_a_column_is_a_fault_and_no_failure(chain: Ledger) -> None:
    """SQLite takes any value in any column, and text that is no UTF-8."""
    for column, value in itertools.product(COLUMNS, ("CAST(x'ff41' AS TEXT)", "x'ff'", "1.5", "'9e99'")):
        verified = tampered(chain, changed(6, column, text(value)))
        assert verified is not None, (column, value)
        assert verified.fault_count, (column, value)
    committed(chain, executed("UPDATE audit_entries SET actor = CAST(x'ff' AS TEXT), at = 'x', count = 'x'"))
    committed(chain, executed("UPDATE audit_entries SET number = 'x' WHERE number = 6"))
    committed(chain, executed("UPDATE audit_ends SET forgotten = 'x', last = x'ff'"))
    write(chain, 7)
    assert {each.actor for each in chain.audited(AuditFilter())} == {"\\xff", "olga", "revoker"}
    assert FaultKind.BREAK in kinds(chain.verify_audit())


def test_what_was_forgotten_by_its_age_is_not_missed(chain: Ledger) -> None:
    """Neither the first of them, nor all; and the chain goes on."""
    forget(chain, 3)
    assert (chain.verify_audit().entries, kinds(chain.verify_audit())) == (4, WHOLE)
    forget(chain, 99)
    assert (chain.verify_audit().entries, kinds(chain.verify_audit())) == (0, WHOLE)
    write(chain, 100)
    assert (chain.verify_audit().entries, kinds(chain.verify_audit())) == (1, WHOLE)


def test_nothing_is_forgotten_because_somebody_made_it_old(chain: Ledger) -> None:
    """What was not written like that stays, for somebody to see."""
    committed(chain, changed(1, "at", 0))
    forget(chain, 99)
    assert kinds(chain.verify_audit()) == [FaultKind.CHANGED]
    assert chain.verify_audit().entries == LENGTH


def test_another_key_proves_nothing(chain: Ledger, ledger_url: str) -> None:
    """Neither that of another installation, nor none; what it writes is told as well."""
    for secret in (b"another-key-of-another-installation", b""):
        with closing(Ledger.open(ledger_url, audit_secret=secret)) as stranger:
            assert stranger.verify_audit().fault_count > LENGTH
            write(stranger, 7)
            assert kinds(chain.verify_audit())[0] is FaultKind.CHANGED


def test_a_ledger_that_was_put_back_as_a_whole_is_found_with_a_head_that_was_kept(chain: Ledger) -> None:
    """A backup from before is whole in itself: nothing in it tells that there was more."""
    with chain.database.reading() as connection:
        was = dict(connection.execute(select(audit_ends)).mappings().one())
    write(chain, 7)
    kept = chain.verify_audit().head
    committed(chain, removed(7, 7))
    committed(chain, ends(**was))
    assert kinds(chain.verify_audit()) == WHOLE
    assert kinds(chain.verify_audit(kept)) == [FaultKind.HEAD]
    write(chain, 8)
    assert kinds(chain.verify_audit()) == WHOLE
    assert kinds(chain.verify_audit(kept)) == [FaultKind.HEAD]


def test_a_head_that_was_kept_is_among_the_entries_until_its_age(chain: Ledger) -> None:
    """Then it says nothing any more, and that is told."""
    kept = chain.verify_audit().head
    write(chain, 7)
    assert kinds(chain.verify_audit(kept)) == WHOLE
    assert not chain.verify_audit(kept).is_kept_forgotten
    forget(chain, 6.5)
    assert (kinds(chain.verify_audit(kept)), chain.verify_audit(kept).is_kept_forgotten) == (WHOLE, True)


@in_one_test
@pytest.mark.parametrize("head", ["", "1", f"0:{'a' * 64}", f"1:{'A' * 64}", f"1:{'a' * 64} "])
def test_what_is_no_head_is_refused(head: str) -> None:
    """It says what one looks like."""
    with pytest.raises(ValueError, match="64 hex digits"):
        Head.parse(head)
