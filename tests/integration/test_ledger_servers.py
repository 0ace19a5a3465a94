"""What stands between us and the ledger's PostgreSQL: another server takes over, or a pooler hands out connections."""

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from chaos.proxy import Proxy
from ledger_figures import totals
from ledger_records import outcome, planned
from servers import PgBouncer, PostgresCluster, wait_until
from servers.shared import own_folder
from sqlalchemy import make_url

from tasks.outcome import State
from worker.database.engine import open_database
from worker.ledger import Ledger, LedgerUnavailable


def at(url: str, port: int) -> str:
    """*url* with another port."""
    return make_url(url).set(port=port).render_as_string(hide_password=False)


@pytest.fixture
def private_postgres() -> Iterator[PostgresCluster]:
    """A cluster of the test's own."""
    cluster = PostgresCluster(own_folder("private"))
    cluster.start()
    yield cluster
    cluster.stop()


def test_a_failover_is_followed(private_postgres: PostgresCluster, postgres: PostgresCluster) -> None:
    """The server that was demoted stays up and answers: what it cannot write is said once, and goes to the new one."""
    database = private_postgres.new_database()
    with psycopg.connect(f"host=127.0.0.1 port={postgres.port} user=postgres", autocommit=True) as new:
        new.execute(f"CREATE DATABASE {database}".encode())
    for cluster in (private_postgres, postgres):
        with closing(Ledger.open(cluster.url(database))) as each:
            each.upgrade()
    with (
        Proxy(private_postgres.port) as address,
        closing(Ledger.open(at(postgres.url(database), address.port))) as ledger,
        closing(Ledger.open(postgres.url(database))) as new_one,
    ):
        ledger.record([planned()])
        private_postgres.make_read_only()
        wait_until(lambda: is_refused(ledger), 10, "the old server to refuse a write")
        address.target = postgres.port
        ledger.record([outcome(State.ACCEPTED)])
        assert totals(new_one).calls == {State.ACCEPTED: 1}
    postgres.drop_database(database)


def is_refused(ledger: Ledger) -> bool:
    """Whether a write is."""
    try:
        ledger.record([outcome(State.RETRYING)])
    except LedgerUnavailable:
        return True
    return False


def test_who_only_reads_follows_a_failover_too(
    postgres: PostgresCluster, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection is not used for ever: a desk that asks for holds would believe the old server to the end."""
    monkeypatch.setattr("worker.database.postgresql.MAX_CONNECTION_AGE", 0.01)
    database = open_database(postgres_url)
    pids = set()
    for _ in range(2):
        with database.reading() as connection:
            pids.add(connection.exec_driver_sql("SELECT pg_backend_pid(), pg_sleep(0.02)").scalar_one())
    database.engine.dispose()
    assert postgres.running
    assert len(pids) == 2


def test_a_server_that_may_only_be_read_is_not_the_ledger(postgres_url: str) -> None:
    """A standby answers an operator with what was true some time ago."""
    name = make_url(postgres_url).database
    with psycopg.connect(make_url(postgres_url).set(drivername="postgresql").render_as_string()) as owner:
        owner.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on".encode())
    with closing(Ledger.open(postgres_url)) as ledger, pytest.raises(LedgerUnavailable, match="read-only"):
        totals(ledger)


@pytest.fixture(params=["session", "transaction"])
def pooled_url(request: pytest.FixtureRequest, postgres: PostgresCluster, postgres_url: str) -> Iterator[str]:
    """The ledger behind PgBouncer, in either pooling."""
    pooler = PgBouncer(own_folder("pgbouncer"), postgres.port, request.param)
    pooler.start()
    yield at(postgres_url, pooler.port)
    pooler.close()


def test_the_ledger_works_behind_a_pooler(pooled_url: str) -> None:
    """Batches, upserts and migrations; more often than the driver would wait before it prepares a statement."""
    with closing(Ledger.open(pooled_url)) as ledger, closing(Ledger.open(pooled_url)) as other:
        ledger.upgrade()
        for number in range(12):
            ledger.record([planned(f"e{number}"), outcome(State.ACCEPTED, f"e{number}")])
            other.record([outcome(State.CONFIRMED, f"e{number}", attempt=2, at=3)])
        assert totals(other).calls == {State.CONFIRMED: 12}


def test_our_terms_hold_behind_a_pooler_and_bind_nobody_else(pooled_url: str) -> None:
    """Each transaction has its own; with transaction pooling the next one on that connection may be a stranger's."""
    database = open_database(pooled_url, 3.0, durable=False)
    terms = "SELECT current_setting('lock_timeout'), current_setting('statement_timeout'),"
    terms += " current_setting('synchronous_commit'), current_setting('timezone')"
    for _ in range(2):
        with database.writing() as connection:
            assert tuple(connection.exec_driver_sql(terms).one()) == ("3s", "1min", "off", "UTC")
    with psycopg.connect(make_url(pooled_url).set(drivername="postgresql").render_as_string()) as stranger:
        assert stranger.execute(terms.encode()).fetchone() != ("3s", "1min", "off", "UTC")
    database.engine.dispose()


def test_a_question_is_planned_with_its_values_however_often_it_is_asked(postgres_url: str) -> None:
    """Else from the eleventh time on a tenant's calls take seconds; what is written is found by its keys."""
    database, ask = open_database(postgres_url), "SELECT current_setting('plan_cache_mode')"
    for transaction, mode in ((database.reading(), "force_custom_plan"), (database.writing(), "auto")):
        with transaction as connection:
            assert connection.exec_driver_sql(ask).scalar_one() == mode
    database.engine.dispose()


def test_statements_are_prepared_where_no_pooler_hands_them_to_others(postgres_url: str) -> None:
    """It makes a batch of records three times as quick."""
    database = open_database(postgres_url)
    with database.reading() as connection:
        for _ in range(12):
            connection.exec_driver_sql("SELECT 1 + %s", (1,))
        assert connection.exec_driver_sql("SELECT count(*) FROM pg_prepared_statements").scalar_one() > 0
    database.engine.dispose()
