"""Dead letters are found again: by filters, by cause, by the beginning of an id."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

import pytest
from ledger_records import after, dead, refused

from worker.ledger import (
    DeadLetterAmbiguous,
    DeadLetterFilter,
    DeadLetterNotFound,
    DeadLetterState,
    Ledger,
)

pytest_plugins = ["ledger_fixtures"]


PREFIX: Final = "0f5f5d3e-0000-4000-8000-00000000"  # followed by four digits: ids that share their beginning


def many(ledger: Ledger) -> None:
    """Five dead letters that differ in everything a filter asks for."""
    ledger.record(
        [
            dead("e1", "http.5xx", at=1000),
            dead("e2", "http.4xx.conflict", at=2000, provider="genesys-eu"),
            dead("e3", "http.4xx.gone", at=3000),
            dead("e4", "http.429", at=4000, event_type="session.ended"),
            refused("e5", at=after(5000)),
        ]
    )


@pytest.mark.parametrize(
    ("where", "found"),
    [
        (DeadLetterFilter(), ["e5", "e4", "e3", "e2", "e1"]),
        (DeadLetterFilter(newest_first=False, limit=2), ["e1", "e2"]),
        (DeadLetterFilter(provider="genesys-eu"), ["e2"]),
        (DeadLetterFilter(event_type="session.ended"), ["e4"]),
        (DeadLetterFilter(reason="http.5xx"), ["e1"]),
        (DeadLetterFilter(reason="http.4xx"), ["e3", "e2"]),
        (DeadLetterFilter(reason="http.4"), []),
        (DeadLetterFilter(reason="http."), ["e4", "e3", "e2", "e1"]),
        (DeadLetterFilter(reason="http%"), []),
        (DeadLetterFilter(subject=("key-of-e3", "key-of-nobody")), ["e3"]),
        (DeadLetterFilter(since=after(2000), until=after(4000)), ["e3", "e2"]),
        (DeadLetterFilter(ids=(dead("e1").dead_letter_id[:13], dead("e4").dead_letter_id)), ["e4", "e1"]),
        (DeadLetterFilter(ids=("%",)), []),
        (DeadLetterFilter(states=(DeadLetterState.REPLAYED,)), []),
        (DeadLetterFilter(reason="http.4xx", provider="genesys"), ["e3"]),
    ],
    ids=lambda value: "" if isinstance(value, list) else None,
)
def test_a_filter_finds_what_all_its_parts_describe(ledger: Ledger, where: DeadLetterFilter, found: list[str]) -> None:
    """Filters AND together; ids are prefixes; a reason is whole or its leading parts; nothing is a wildcard."""
    many(ledger)
    assert [row.event_id for row in ledger.dead_letters(where)] == found
    assert ledger.dead_letter_summary(replace(where, limit=None)).count >= len(found)


def test_an_age_is_reckoned_from_now(ledger: Ledger) -> None:
    """Older than the time since a moment: what died before it."""
    many(ledger)
    found = ledger.dead_letters(DeadLetterFilter(older_than=datetime.now(UTC) - after(1500)))
    assert [row.event_id for row in found] == ["e1"]


def test_a_cause_groups_the_same_kind_provider_operation_and_reason(ledger: Ledger) -> None:
    """One cause, one decision: its rows are listed, and later replayed, together."""
    ledger.record([dead("e1"), dead("e2"), dead("e3", "net.tls"), dead("e4", provider="genesys-eu")])
    cause = ledger.dead_letter(dead("e1").dead_letter_id).cause
    assert len(cause) == 6
    assert {row.event_id for row in ledger.dead_letters(DeadLetterFilter(cause=cause))} == {"e1", "e2"}
    summary = ledger.dead_letter_summary()
    assert (summary.count, summary.oldest_at, summary.causes) == (4, after(9), 3)


def test_a_cause_tells_the_problems_of_one_reason_apart(ledger: Ledger) -> None:
    """A key that is missing is put back, a credential for another provider is not; each missing key is its own case."""
    problems = [("unknown_key", "k1"), ("unknown_key", "k2"), ("tampered", "k1"), ("tampered", "k2"), ("content", "k1")]
    details = [{"problem": problem, "kid": kid} for problem, kid in problems]
    letters = [dead(f"e{n}", "crypto.seal", detail=detail) for n, detail in enumerate([*details, details[0], {}])]
    ledger.record(letters)
    causes = [ledger.dead_letter(letter.dead_letter_id).cause for letter in letters]
    assert causes[0] == causes[5]
    assert causes[2] == causes[3]
    assert len(set(causes)) == 5


def test_a_unique_prefix_names_a_dead_letter(ledger: Ledger) -> None:
    """As with commits: enough of the id is the id, in either case."""
    ledger.record([dead("e1", dead_letter_id=PREFIX + "0001"), dead("e2", dead_letter_id=PREFIX + "0002")])
    assert ledger.dead_letter((PREFIX + "0002").upper()).event_id == "e2"
    with pytest.raises(DeadLetterAmbiguous):
        ledger.dead_letter(PREFIX[:8])


@pytest.mark.parametrize("prefix", ["ffff", "", "%", "_"])
def test_a_prefix_that_nothing_has_is_not_found(ledger: Ledger, prefix: str) -> None:
    """An empty prefix, or a wildcard of SQL, means nothing."""
    ledger.record([dead("e1", dead_letter_id=PREFIX + "0001")])
    with pytest.raises(DeadLetterNotFound):
        ledger.dead_letter(prefix)
