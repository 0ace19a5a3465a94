"""The whole worker as its users run it: real processes, a real broker, the providers' own journal as the judge."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from servers import Processes
from system import System


@pytest.fixture
def system(broker_url: str, tmp_path: Path, processes: Processes) -> Iterator[System]:
    """A configured system on each broker in turn; its sandbox runs, its other processes are started by the test."""
    made = System(tmp_path / "system", broker_url, processes)
    yield made
    made.close()
