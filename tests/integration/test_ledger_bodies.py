"""What arrived is stored once, travels once, and is read by nobody who only lists."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from kombu.message import Message
from ledger_records import after, dead, entry, refused
from sqlalchemy import event, func, select

from tasks.records import DeadLetter
from worker.broker import messages, topology
from worker.broker.provenance import ProvenanceMac
from worker.database.tables import bodies
from worker.ledger import DeadLetterFilter, DeadLetterState, Ledger
from worker.ledger.dead_letters import LEASE
from worker.ledger.ledger import in_pages
from worker.recorder import Recorder

pytest_plugins = ["ledger_fixtures"]

BODY = "QUJD" * 20_000
MAC = ProvenanceMac(b"subject-key-of-a-test-installation")
UNITS = [
    refused(f"u{number}", "unit", provider=f"p{number}", body=BODY, headers={"ce-id": "e1"}, content_type="a/b")
    for number in range(48)
]


def count(ledger: Ledger) -> int:
    """How many messages are kept."""
    with ledger.database.reading() as connection:
        return connection.execute(select(func.count()).select_from(bodies)).scalar_one()


def by_id(letters: list[DeadLetter]) -> list[DeadLetter]:
    """Sorted, as rows of one moment are."""
    return sorted(letters, key=lambda letter: letter.dead_letter_id)


def test_the_letters_of_one_message_keep_it_once(ledger: Ledger) -> None:
    """An event may name 48 providers that nobody has; each part of it can be replayed all the same."""
    ledger.record(UNITS)
    assert by_id([row.letter for row in ledger.dead_letters()]) == by_id(UNITS)
    assert count(ledger) == 1


@pytest.mark.parametrize("other", [{"body": "QUJE"}, {"content_type": "c/d"}, {"headers": {"ce-id": "e2"}}])
def test_what_a_replay_would_send_otherwise_is_kept_apart(ledger: Ledger, other: dict[str, Any]) -> None:
    """Body, content type and attributes together are what arrived."""
    letters = [UNITS[0], UNITS[1].model_copy(update=other)]
    ledger.record(letters)
    assert by_id([row.letter for row in ledger.dead_letters()]) == by_id(letters)
    assert count(ledger) == 2


def test_a_message_travels_once_to_the_desk_whatever_is_made_of_it(ledger: Ledger) -> None:
    """What is published is as large as what arrived, and a line for each letter; apart it is what it was."""
    [message] = messages.dead_letters(UNITS)
    assert len(message.body) < len(BODY) + len(UNITS) * 1000
    told = Message(message.body, headers=dict(message.headers), delivery_info={"exchange": topology.DEAD.name})
    assert Recorder(ledger, MAC).handle([told]) == []
    assert by_id([row.letter for row in ledger.dead_letters()]) == by_id(UNITS)


def test_letters_of_no_message_or_of_different_ones_travel_by_themselves() -> None:
    """Each as it always did."""
    letters = [UNITS[0], refused("e2"), refused("e3", body=None), refused("e4", body=None), dead()]
    assert [messages.dead_letter(letter).body for letter in letters] == [
        message.body for message in messages.dead_letters(letters)
    ]


def test_a_listing_reads_neither_letters_nor_what_arrived(ledger: Ledger) -> None:
    """A hundred thousand of them are a hundred lines."""
    ledger.record(UNITS)
    said: list[str] = []
    event.listen(ledger.database.engine, "before_cursor_execute", lambda *told: said.append(told[2]))
    assert len(ledger.dead_letter_heads(DeadLetterFilter(limit=7))) == 7
    assert not [statement for statement in said if "document" in statement]


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("limit", [None, 1, 9, 10, 11, 29, 30, 31])
def test_pages_tell_each_letter_once_up_to_the_limit(ledger: Ledger, limit: int | None, *, newest_first: bool) -> None:
    """Also of those that died in one moment, on both sides of a page's end."""
    ledger.record([dead(f"e{number}", at=number // 4) for number in range(30)])
    where = DeadLetterFilter(newest_first=newest_first, limit=limit)
    pages = list(in_pages(ledger.dead_letter_heads, where, 10))
    assert [head for page in pages for head in page] == ledger.dead_letter_heads(where)
    assert max(map(len, pages)) <= 10


def test_a_letter_that_changes_under_the_reader_is_told_once(ledger: Ledger) -> None:
    """A replay takes letters off the list page by page."""
    ledger.record([dead(f"e{number}", at=number) for number in range(30)])
    told = []
    for page in in_pages(ledger.dead_letters, DeadLetterFilter(newest_first=False), 10):
        told += [row.dead_letter_id for row in page]
        ledger.claim(told, audit=entry())
        ledger.discard(told[:5], audit=entry(), lease=-timedelta(seconds=1))
    assert len(told) == len(set(told)) == 30


@pytest.mark.parametrize(("seconds", "is_free"), [(-1, False), (1, True)])
def test_a_claim_lapses_after_its_lease_and_not_before(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, seconds: float, *, is_free: bool
) -> None:
    """A replay that is slow keeps what it has; one that was killed does not."""
    ledger.record([dead()])
    [row] = ledger.claim([dead().dead_letter_id], audit=entry())
    assert row.claimed_at is not None

    class Later:
        """A clock that stands at the edge of the lease."""

        @staticmethod
        def now(zone: Any) -> Any:
            return (row.claimed_at or after(0)).astimezone(zone) + LEASE + timedelta(seconds=seconds)

    monkeypatch.setattr("worker.ledger.dead_letters.datetime", Later)
    assert bool(ledger.claim([row.dead_letter_id], audit=entry())) == is_free
    assert ledger.discard([row.dead_letter_id], audit=entry()).count == 0


@pytest.mark.parametrize("count", [999, 1000, 1001])
def test_as_many_as_one_statement_takes_are_claimed_and_discarded_whole(ledger: Ledger, count: int) -> None:
    """At the edge of a step none is left out, and none is taken twice."""
    letters = [refused(f"e{number}", body=None) for number in range(count)]
    ids = [letter.dead_letter_id for letter in letters]
    ledger.record(letters)
    assert len(ledger.claim(ids, audit=entry())) == count
    assert ledger.claim(ids, audit=entry()) == []
    assert ledger.discard(ids, audit=entry("discard"), lease=-timedelta(seconds=1)).count == count


KINDS: dict[str, Callable[[], DeadLetter]] = {
    "call": dead,
    "refused event": lambda: refused("e1", body=BODY),
    "event without a body": lambda: refused("e1", body=None, detail={"pointer": '/"body":"'}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_letter_says_whether_it_holds_something_to_replay(ledger: Ledger, kind: str) -> None:
    """A call, or what arrived; the letter is read back as it was."""
    letter = KINDS[kind]()
    ledger.record([letter])
    [found] = ledger.dead_letters(DeadLetterFilter(states=tuple(DeadLetterState)))
    assert found.letter == letter
    assert found.is_replayable == (kind != "event without a body")


def test_every_column_of_a_letter_is_written_and_read_back(ledger: Ledger) -> None:
    """A field that were left out would be missed at the next incident."""
    letter = dead(source="s", subject="su…t", detail={"a": "b"}, replays=2, event_type="session.ended")
    letter = letter.model_copy(update={"target_key": "t1", "person_key": "p1"})
    ledger.record([letter])
    [head] = ledger.dead_letter_heads()
    told = {name: getattr(letter, name) for name in DeadLetter.model_fields if hasattr(head, name)}
    assert {name: getattr(head, name) for name in told} == told
    assert replace(head, target="", person="") != head
    assert (head.target, head.person, head.first_at, head.first_reason) == ("t1", "p1", letter.at, letter.reason)
    assert (head.call_id, head.tries, head.is_replayable) == (letter.call and letter.call.call_id, 1, True)
