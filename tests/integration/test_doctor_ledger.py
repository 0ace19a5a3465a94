"""The doctor at a ledger of each kind: its schema, its clock, and nothing written."""

import sqlalchemy as sa

from worker.ledger import Ledger
from worker.operations.doctor import Finding
from worker.operations.doctor.ledger import examine
from worker.settings import Settings

pytest_plugins = ["ledger_fixtures"]


def examined(url: str) -> list[Finding]:
    """What the doctor finds."""
    return list(examine(Settings(ledger_url=url, subject_key="s" * 32)))


def test_a_ledger_is_current_or_was_never_migrated(ledger: Ledger, ledger_url: str) -> None:
    """PostgreSQL tells the time as well."""
    is_server = ledger_url.startswith("postgresql")
    expected = ["ledger.connection", "ledger.schema", *(["ledger.clock"] if is_server else [])]
    found = examined(ledger_url)
    assert [(each.check, each.state) for each in found] == [(name, "ok") for name in expected]
    with ledger.database.writing() as connection:
        connection.execute(sa.text("DROP TABLE ledger_version"))
    assert [each.check for each in examined(ledger_url) if each.state != "ok"] == ["ledger.schema"]
    with ledger.database.reading() as connection:
        assert "ledger_version" not in sa.inspect(connection).get_table_names()


def test_a_server_that_is_away_is_one_finding_without_a_password() -> None:
    """And says which server it is."""
    [found] = examined("postgresql+psycopg://revoker:planted-password@127.0.0.1:9/revoker")
    assert (found.check, found.state) == ("ledger.connection", "failed")
    assert "127.0.0.1:9" in found.detail
    assert "planted-password" not in found.detail
