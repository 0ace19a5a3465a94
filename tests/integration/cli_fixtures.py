"""An installation for `revoker`, and a sandbox for its providers: `pytest_plugins = ["cli_fixtures"]`."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_installation import Installation
from servers import Daemon, Processes, wait_until


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    """An installation without any process running."""
    made = Installation(tmp_path, monkeypatch)
    yield made
    made.desk.close()


@pytest.fixture
def sandbox(installation: Installation, processes: Processes) -> Daemon:
    """`revoker sandbox`, to which the installation's providers point."""
    process = processes.start("revoker", "sandbox", "--port", "0", "--auto-issue", name="sandbox")
    wait_until(lambda: "http://" in process.output, 20, "the sandbox's base URL")
    installation.providers_at(process.output.split()[0])
    return process
