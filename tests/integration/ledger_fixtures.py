"""An empty ledger on each database: `pytest_plugins = ["ledger_fixtures"]`."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from replay_desk import SECRET

from worker.ledger import Ledger


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.sqlite3'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    """An empty ledger of the newest schema."""
    opened = Ledger.open(ledger_url, audit_secret=SECRET)
    opened.upgrade()
    yield opened
    opened.close()
