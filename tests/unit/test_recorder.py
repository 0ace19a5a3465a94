"""What the recorder reads out of a message, and what it does where the ledger takes it or not."""

import json
import sqlite3
from collections.abc import Sequence
from typing import Any

import pytest
from recorded_messages import CALL, MAC, NOW, Delivered, FussyLedger, outcome_document

from tasks.records import DeadLetter, dead_letter_of_call
from worker.broker import messages, topology
from worker.ledger import LedgerRefused, LedgerUnavailable
from worker.recorder import Recorder, read


@pytest.mark.parametrize("exchange", [topology.DEAD.name, topology.OUTCOMES.name])
@pytest.mark.parametrize("body", [b"", b"[]", b'{"kind":"call"}', b'{"kind":"outcome","token":"x"}', b"\xff"])
def test_what_is_no_record_of_ours_is_a_dead_letter_without_its_body(body: bytes, exchange: str) -> None:
    """Nobody knows what it holds: its hash and size are kept, nothing is dropped."""
    [letter] = read(Delivered(body, exchange), MAC)
    assert isinstance(letter, DeadLetter)
    assert (letter.kind, letter.reason) == ("message", "record.invalid")
    assert (letter.body, letter.body_size) == (None, len(body))


def test_a_record_comes_back_as_it_was_published() -> None:
    """What the worker says is what the ledger is told."""
    letter = dead_letter_of_call(CALL, "http.5xx", NOW)
    assert read(Delivered(messages.dead_letter(letter).body, topology.DEAD.name), MAC) == [letter]


def _recorded(ledger: FussyLedger) -> tuple[list[Any], Sequence[Any]]:
    """Three outcomes, the second of which is bad, and those that the recorder gives back."""
    bodies = [json.dumps({**outcome_document(), "event_id": event_id}).encode() for event_id in ("a", "bad", "b")]
    batch = [Delivered(body, topology.OUTCOMES.name) for body in bodies]
    return batch, Recorder(ledger, MAC).handle(batch)  # type: ignore[arg-type] # a stand-in for the ledger


@pytest.mark.parametrize(
    "fault",
    [
        LedgerRefused("ledger: DataError"),
        OverflowError("Python int too large to convert to SQLite INTEGER"),
        sqlite3.InterfaceError("Error binding parameter 3"),
        UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"),
        *(kind("x") for kind in (ValueError, TypeError, LookupError, RecursionError, ZeroDivisionError)),
    ],
    ids=lambda fault: type(fault).__name__,
)
def test_a_row_the_database_refuses_does_not_keep_the_others_out(fault: Exception) -> None:
    """The good ones are written, the bad one is a dead letter under its event's name, and the batch is done."""
    ledger = FussyLedger(fault)
    assert _recorded(ledger)[1] == []
    assert [record.kind for record in ledger.taken] == ["outcome", "message", "outcome"]
    buried = ledger.taken[1]
    assert (buried.source, buried.event_id, buried.event_type) == ("urn:test", "bad", "session.ended")


def test_a_ledger_that_is_away_buries_nothing() -> None:
    """All of the batch waits in the broker."""
    ledger = FussyLedger(LedgerUnavailable("ledger: locked"))
    batch, left = _recorded(ledger)
    assert (left, ledger.taken) == (batch, [])


@pytest.mark.parametrize("content_type", ["\ud800", "x" * 256, 7, {"a": 1}, None])
def test_a_content_type_that_is_none_stops_nobody(content_type: Any) -> None:
    """Whatever a message says of itself; the broker's own is at most 255 bytes of text."""
    message = Delivered(b"{", topology.OUTCOMES.name)
    message.content_type = content_type
    [letter] = read(message, MAC)
    assert isinstance(letter, DeadLetter)
    assert (letter.content_type, letter.body_size) == (None, 1)
