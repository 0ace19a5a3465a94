"""An empty ledger on each database: `pytest_plugins = ["ledger_fixtures"]`."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from prepared_ledgers import make_file, new_database
from replay_desk import SECRET
from servers import PostgresCluster

from worker.ledger import Ledger


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database of each kind in turn: of the newest schema where the test asks for `ledger`, else empty."""
    if "ledger" in request.fixturenames:
        url: str = request.getfixturevalue(f"migrated_{request.param}")
    elif request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'ledger.sqlite3'}"
    else:
        url = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def migrated_sqlite(tmp_path: Path) -> str:
    """The URL of an empty ledger in a file."""
    return make_file(f"sqlite:///{tmp_path / 'ledger.sqlite3'}")


@pytest.fixture
def migrated_postgresql(postgres: PostgresCluster) -> Iterator[str]:
    """The URL of an empty ledger on a server."""
    database = new_database(postgres)
    yield postgres.url(database)
    postgres.drop_database(database)


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    """An empty ledger of the newest schema."""
    opened = Ledger.open(ledger_url, audit_secret=SECRET)
    yield opened
    opened.close()
