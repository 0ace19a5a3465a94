"""Empty ledgers of the newest schema, copied from one that was migrated: that is done once, not for each test."""

import tempfile
from functools import cache
from pathlib import Path

from servers import PostgresCluster
from servers.shared import locked, root
from sqlalchemy import make_url

from worker.ledger import Ledger

_TEMPLATE = "migrated_ledger"


def prepare(ledger_url: str) -> None:
    """Have the newest schema at *ledger_url*: no file yet, or a database."""
    url = make_url(ledger_url)
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists():
        make_file(ledger_url)
    else:
        _migrate(ledger_url)


def make_file(ledger_url: str) -> str:
    """Make the SQLite file of *ledger_url*, which does not exist yet; returns the URL."""
    file = Path(str(make_url(ledger_url).database))
    file.touch(0o600, exist_ok=False)
    file.write_bytes(_migrated_file())
    return ledger_url


def new_database(postgres: PostgresCluster) -> str:
    """Make a database on *postgres* and return its name."""
    with locked(root() / f"{_TEMPLATE}.lock"):
        if not postgres.has_database(_TEMPLATE):
            made = postgres.new_database()
            _migrate(postgres.url(made))
            postgres.rename_database(made, _TEMPLATE)
    return postgres.new_database(_TEMPLATE)


@cache
def _migrated_file() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "ledger.sqlite3")
        _migrate(f"sqlite:///{file}")
        return file.read_bytes()


def _migrate(url: str) -> None:
    ledger = Ledger.open(url)
    ledger.upgrade()
    ledger.close()
