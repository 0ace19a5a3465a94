"""A desk with a broker of each kind, or on the embedded one: `pytest_plugins = ["desk_fixtures"]`."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from replay_desk import Desk


@pytest.fixture
def desk(tmp_path: Path, broker_url: str) -> Iterator[Desk]:
    """A desk on each broker in turn."""
    made = Desk(tmp_path, broker_url)
    yield made
    made.close()


@pytest.fixture
def local_desk(tmp_path: Path) -> Iterator[Desk]:
    """A desk on the embedded broker, for what does not depend on the broker."""
    made = Desk(tmp_path, f"embedded:///{tmp_path / 'broker.sqlite3'}")
    yield made
    made.close()
