"""A ledger that a newer release has migrated: this release works on it, and says that it is the older one."""

import logging

import pytest
from kombu.message import Message
from ledger_records import dead
from sqlalchemy import text

from worker.broker import messages, topology
from worker.broker.provenance import ProvenanceMac
from worker.cli.exits import Exit, as_command_error
from worker.database.revisions import VERSION_TABLE, known_revisions
from worker.ledger import Ledger, LedgerIsNewer, LedgerUnavailable
from worker.recorder import Recorder

pytest_plugins = ["ledger_fixtures"]

MAC = ProvenanceMac(b"subject-key-of-a-test-installation")
NEWER = "9999"


@pytest.fixture
def newer(ledger: Ledger) -> Ledger:
    """The ledger as the next release leaves it: a column more, a table more, and its own revision."""
    with ledger.database.writing() as connection:
        connection.execute(text("ALTER TABLE calls ADD COLUMN of_next_release VARCHAR(16)"))
        connection.execute(text("CREATE TABLE of_next_release (id INTEGER PRIMARY KEY)"))
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '{NEWER}'"))  # noqa: S608 - constants
    return ledger


def told(event_id: str) -> Message:
    """A dead letter as the recorder is told of it."""
    message = messages.dead_letter(dead(event_id))
    return Message(message.body, headers=dict(message.headers), delivery_info={"exchange": topology.DEAD.name})


def revision(ledger: Ledger) -> str:
    """The revision that the schema says it has."""
    with ledger.database.reading() as connection:
        return str(connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar_one())  # noqa: S608


def test_the_recorder_goes_on_and_says_so_once(newer: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    """Migrations only add: what it writes has its place, also after the ledger was away for a while."""
    recorder = Recorder(newer, MAC)
    with caplog.at_level(logging.WARNING):
        assert recorder.handle([told("e1")]) == []
        recorder.availability.lost(LedgerUnavailable("away"))
        recorder._schema.is_ready = False
        assert recorder.handle([told("e2")]) == []
    assert sorted(str(row.event_id) for row in newer.dead_letters()) == ["e1", "e2"]
    assert [each.message for each in caplog.records].count("ledger.newer") == 1
    assert revision(newer) == NEWER


def test_an_operator_who_migrates_with_the_older_release_is_refused(newer: Ledger) -> None:
    """In one sentence that names both revisions, and nothing is changed."""
    with pytest.raises(LedgerIsNewer, match=f"revision {NEWER}.* up to {known_revisions()[-1]}") as refused:
        newer.upgrade()
    ended = as_command_error(refused.value)
    assert ended is not None
    assert ended.exit_code == Exit.REFUSED
    assert revision(newer) == NEWER
