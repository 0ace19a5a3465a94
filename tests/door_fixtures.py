"""An installation with doors: `pytest_plugins = ["door_fixtures"]`."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from door_installation import Installed
from door_peer import Idp
from servers import Processes


@pytest.fixture
def installed(tmp_path: Path, processes: Processes) -> Iterator[Installed]:
    """An installation whose processes are not started."""
    found = Installed(tmp_path, processes, Idp(tmp_path))
    yield found
    found.system.close()
