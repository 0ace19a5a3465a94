"""An empty session registry on each database: `pytest_plugins = ["ledger_fixtures", "registry_fixtures"]`."""

from collections.abc import Iterator

import pytest
from registered_sessions import registry

from worker.intake.registry import store
from worker.intake.registry.registry import SessionRegistry
from worker.ledger import Ledger


@pytest.fixture
def known(ledger: Ledger, ledger_url: str) -> Iterator[SessionRegistry]:
    """An empty registry."""
    assert store.count(ledger.database) == {}
    with registry(ledger_url) as opened:
        yield opened
