"""The database beneath the ledger: made in turns, private, and clear about what is wrong with it."""

import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from ledger_figures import totals
from ledger_records import dead, outcome, planned, refused
from servers import free_port
from sqlalchemy import inspect, select

from tasks.outcome import State
from worker.database import sqlite
from worker.database import sqlite_file as files
from worker.database.engine import Database, open_database
from worker.database.revisions import MIGRATIONS, VERSION_TABLE
from worker.database.tables import clock, metadata
from worker.ledger import CallRow, DeadLetterRow, Ledger, LedgerUnavailable

pytest_plugins = ["ledger_fixtures"]

UPGRADE = """
import sys
import alembic.command
from worker.ledger import Ledger
ledger = Ledger.open(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
ledger.upgrade()
ledger.close()
"""
SECRET = "hunter2-marker"


@pytest.fixture
def sqlite_file(tmp_path: Path) -> Path:
    """Where an SQLite ledger goes."""
    return tmp_path / "ledger.sqlite3"


def upgraded(path: Path) -> Ledger:
    """A ledger of the newest schema in the file *path*."""
    ledger = Ledger.open(f"sqlite:///{path}")
    ledger.upgrade()
    return ledger


def migrating(url: str, count: int) -> list[subprocess.Popen[str]]:
    """Processes that begin to migrate at once."""
    argv, pipe = [sys.executable, "-c", UPGRADE, url], subprocess.PIPE
    running = [subprocess.Popen(argv, text=True, stdin=pipe, stdout=pipe, stderr=pipe) for _ in range(count)]
    assert [process.stdout.readline() for process in running if process.stdout] == ["ready\n"] * count
    for process in running:
        print(file=process.stdin, flush=True)
    return running


def test_several_processes_may_migrate_an_empty_database_at_once(ledger_url: str) -> None:
    """Every recorder upgrades at its start; one does the work, the others wait and find it done."""
    ended = [(process.communicate(timeout=60)[1], process.returncode) for process in migrating(ledger_url, 3)]
    assert ended == [("", 0)] * 3
    ledger = Ledger.open(ledger_url)
    ledger.record([planned()])
    ledger.close()


def test_a_migration_that_is_killed_leaves_nothing_half_made(ledger_url: str) -> None:
    """Wherever it is killed: whoever comes next makes all of it, or finds all of it made."""
    for milliseconds in (5, 15, 30, 45, 60):
        [process] = migrating(ledger_url, 1)
        time.sleep(milliseconds / 1000)
        process.kill()
        process.communicate()
        assert tables(ledger_url) in (set(), {*metadata.tables, VERSION_TABLE})
    ledger = Ledger.open(ledger_url)
    ledger.upgrade()
    ledger.record([planned()])
    ledger.close()


def tables(url: str) -> set[str]:
    """The names of the tables that are there; none where there is no file."""
    database = open_database(url)
    try:
        with database.reading() as connection:
            return {*inspect(connection).get_table_names()}
    except LedgerUnavailable:
        return set()
    finally:
        database.engine.dispose()


def test_a_ledger_that_another_process_is_making_is_waited_for(sqlite_file: Path) -> None:
    """SQLite refuses the switch to its write-ahead log at once while somebody writes the old way."""
    other = sqlite3.connect(sqlite_file, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(1) as threads:
        upgrading = threads.submit(upgraded, sqlite_file)
        time.sleep(0.3)
        other.execute("COMMIT")
        ledger = upgrading.result(30)
    assert totals(ledger).events == 0
    ledger.close()
    other.close()


def test_rows_survive_that_another_process_leaves_the_ledger(sqlite_file: Path) -> None:
    """SQLite removes the log when it sees nobody else: a connection of ours must not take the locks of its siblings."""
    ledger, sibling = upgraded(sqlite_file), upgraded(sqlite_file)
    count = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('SELECT count(*) FROM events').fetchone())"
    argv = [sys.executable, "-c", count, str(sqlite_file)]
    assert subprocess.run(argv, text=True, capture_output=True, check=True).stdout == "(0,)\n"
    ledger.record([planned()])
    assert subprocess.run(argv, text=True, capture_output=True, check=True).stdout == "(1,)\n"
    ledger.close()
    sibling.close()


@pytest.mark.usefixtures("ledger")
def test_the_migrations_make_the_tables_the_code_uses(ledger_url: str) -> None:
    """A column added to the code without a revision fails here."""
    database: Database = open_database(ledger_url)
    with database.reading() as connection:
        options = {"version_table": "ledger_version", "compare_server_default": True}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []
        assert connection.execute(select(clock)).all() == [(1, 0)]
    database.engine.dispose()


def test_the_first_revision_is_written_out_before_a_second_one_exists() -> None:
    """It makes whatever the code declares, so the tables of a second revision would be there before it runs."""
    config = Config()
    config.set_main_option("script_location", MIGRATIONS)
    scripts = ScriptDirectory.from_config(config)
    [base] = scripts.get_bases()
    follows_the_code = "create_all" in Path(scripts.get_revision(base).path).read_text()
    assert not follows_the_code or scripts.get_heads() == [base]


def test_no_column_is_made_for_a_credential(ledger: Ledger, ledger_url: str) -> None:
    """Sealed ones stand in the documents of dead letters, and nowhere else."""
    ledger.record([planned(), outcome(State.RETRYING), dead()])
    database = open_database(ledger_url)
    with database.reading() as connection:
        names = {column["name"] for table in metadata.tables for column in inspect(connection).get_columns(table)}
    database.engine.dispose()
    assert not [name for name in names if any(word in name for word in ("token", "secret", "jwe", "credential"))]


def test_upgrading_again_changes_nothing(ledger: Ledger) -> None:
    """It runs at every start."""
    ledger.record([planned()])
    ledger.upgrade()
    assert totals(ledger).events == 1


def test_a_ledger_that_was_not_migrated_says_what_to_do(ledger_url: str) -> None:
    """The operator gets the command, not a missing table."""
    ledger = Ledger.open(ledger_url)
    with pytest.raises(LedgerUnavailable, match="run `revoker ledger upgrade`"):
        ledger.record([planned()])
    ledger.close()


@pytest.mark.parametrize("query", ["", f"?password={SECRET}&sslmode=disable"])
def test_an_unreachable_database_is_said_in_one_line_without_its_password(query: str) -> None:
    """Wherever the URL carries it."""
    port = free_port()
    ledger = Ledger.open(f"postgresql+psycopg://revoker:{SECRET}@127.0.0.1:{port}/ledger{query}")
    with pytest.raises(LedgerUnavailable) as raised:
        totals(ledger)
    ledger.close()
    message = str(raised.value)
    assert message.startswith(f"ledger postgresql://127.0.0.1:{port}/ledger: ")
    assert SECRET not in message
    assert "\n" not in message
    assert raised.value.__suppress_context__


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo", "Etc/GMT+12", "Etc/GMT-14", "UTC"])
def test_times_at_both_ends_of_the_calendar_are_read_in_any_zone_of_the_server(postgres_url: str, zone: str) -> None:
    """Nobody proved such an event's time, and one of them must not blind the operators' desk."""
    database = open_database(postgres_url)
    with database.writing() as connection:
        connection.exec_driver_sql(f"ALTER DATABASE {database.engine.url.database} SET timezone = '{zone}'")
    database.engine.dispose()
    ledger = Ledger.open(postgres_url)
    ledger.upgrade()
    ends = [datetime(1, 1, 1, tzinfo=UTC), datetime.max.replace(tzinfo=UTC)]
    ledger.record([refused(f"e{number}", occurred_at=end) for number, end in enumerate(ends)])
    rows: list[DeadLetterRow | CallRow] = [*ledger.dead_letters(), *ledger.calls_of_subject("key-1")]
    ledger.close()
    assert sorted(row.occurred_at for row in rows if row.occurred_at) == [ends[0]] * 2 + [ends[1]] * 2


@pytest.mark.parametrize("mode", ["require", "verify-full"])
def test_what_the_url_tells_libpq_about_tls_reaches_it(postgres_url: str, mode: str) -> None:
    """A server that cannot encrypt is refused where encryption is wanted."""
    ledger = Ledger.open(f"{postgres_url}?sslmode={mode}")
    with pytest.raises(LedgerUnavailable, match="does not support SSL"):
        totals(ledger)
    ledger.close()


@pytest.mark.parametrize(
    "url", ["", "nonsense", f"mysql://root:{SECRET}@host/db", f"x+y://:{SECRET}@h", "sqlite://", "sqlite:///:memory:"]
)
def test_a_url_of_no_ledger_is_refused_without_repeating_it(url: str) -> None:
    """A mistyped URL holds a password as a correct one does."""
    with pytest.raises(LedgerUnavailable, match="must be sqlite:") as raised:
        Ledger.open(url)
    assert SECRET not in str(raised.value)


def test_only_its_owner_can_read_an_sqlite_ledger(sqlite_file: Path) -> None:
    """Its -wal and -shm files included."""
    ledger = upgraded(sqlite_file)
    ledger.record([planned()])
    modes = {path.name: path.stat().st_mode & 0o777 for path in sqlite_file.parent.iterdir()}
    ledger.close()
    assert set(modes.values()) == {0o600}
    assert len(modes) == 3


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    """No folder is made in a place that was mistyped."""
    with pytest.raises(LedgerUnavailable, match=r"ledger .*/nowhere/ledger: No such file or directory"):
        Ledger.open(f"sqlite:///{tmp_path}/nowhere/ledger").upgrade()


def test_a_file_that_is_no_database_is_said_so(sqlite_file: Path) -> None:
    """A wrong path must not be overwritten."""
    sqlite_file.write_text("precious " * 1000)
    ledger = Ledger.open(f"sqlite:///{sqlite_file}")
    with pytest.raises(LedgerUnavailable, match="file is not a database"):
        ledger.upgrade()
    ledger.close()
    assert sqlite_file.read_text().startswith("precious")


def test_a_locked_ledger_is_unavailable_and_heals(sqlite_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The recorder leaves its messages in the broker meanwhile."""
    monkeypatch.setattr("worker.database.engine.LOCK_TIMEOUT", 0.05)
    ledger = upgraded(sqlite_file)
    other = sqlite3.connect(sqlite_file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerUnavailable, match="database is locked"):
        ledger.record([planned()])
    other.execute("ROLLBACK")
    other.close()
    ledger.record([planned()])
    assert totals(ledger).events == 1
    ledger.close()


def test_a_full_disk_keeps_all_of_a_batch_or_nothing(sqlite_file: Path) -> None:
    """A batch that was not written whole stays unacked, and comes again."""
    ledger = upgraded(sqlite_file)
    with ledger.database.reading() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages + 5}")
    with pytest.raises(LedgerUnavailable, match="full"):
        ledger.record([planned(f"e{number}") for number in range(500)])
    assert totals(ledger).events == 0
    ledger.close()


def test_a_long_log_is_emptied_once_whoever_reads_right_now_is_done(
    sqlite_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are waited for, for a moment; one who reads on keeps it, and harms nobody."""
    monkeypatch.setattr(sqlite, "LONGEST_LOG", 100_000)
    monkeypatch.setattr(sqlite, "LOG_INTERVAL", 0.0)
    monkeypatch.setattr(files, "LOG_PATIENCE", 0.05)
    with closing(upgraded(sqlite_file)) as ledger:
        with ledger.database.reading() as reader:
            reader.execute(select(clock.c.value)).all()
            ledger.record([outcome(State.ACCEPTED, f"e{number}") for number in range(300)])
            ledger.database.shorten_log()
            assert files.log_size(sqlite_file) > sqlite.LONGEST_LOG
        ledger.database.shorten_log()
        assert files.log_size(sqlite_file) == 0
        assert totals(ledger).calls == {State.ACCEPTED: 300}


def test_recorders_write_at_once_without_losing_a_row(ledger: Ledger) -> None:
    """Overlapping batches in opposite orders: no deadlock, one row each."""
    batch = [outcome(State.ACCEPTED, f"e{number}") for number in range(200)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(ledger.record, [batch, batch[::-1]] * 4))
    assert totals(ledger).calls == {State.ACCEPTED: 200}


def test_a_connection_that_is_in_use_when_its_database_is_closed_is_closed_afterwards(ledger: Ledger) -> None:
    """Another thread may still read; its connection must not stay open until somebody collects what nobody needs."""
    database = ledger.database
    with database.reading() as connection:
        driver = connection.connection.driver_connection
        database.engine.dispose()
    assert driver is not None
    with pytest.raises((sqlite3.ProgrammingError, psycopg.OperationalError), match="closed"):
        driver.execute("SELECT 1")
