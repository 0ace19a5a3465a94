"""The console as people have it: a process of its own, in a whole installation, and Chromium to look at it."""

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from chromium_desk import FOUR_EYES, DeskAtWork
from playwright.sync_api import Browser, sync_playwright
from servers import Processes, ServerMissingError, free_port, wait_until
from sign_in_door import HASH
from system import System

from worker.console.sign_in.roles import Role

PEOPLE = {"olga": Role.OPERATOR, "victor": Role.VIEWER, "oscar": Role.OPERATOR}
ALONE = ("--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost")


@pytest.fixture
def chromium() -> Iterator[Browser]:
    """Chromium of the system, without a screen and without a network.

    It ends with the test: while it is driven, the event loop that drives it runs in this thread.
    """
    program = shutil.which("chromium")
    if program is None:
        raise ServerMissingError("chromium is not installed: make servers installs it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ALONE)
        yield browser
        browser.close()


@pytest.fixture
def idle_desk(tmp_path: Path, processes: Processes, chromium: Browser) -> Iterator[DeskAtWork]:
    """An installation of which the console runs alone. It knows olga, an operator, victor, a viewer, and oscar."""
    users, port = tmp_path / "users.json", free_port()
    write_users(users)
    console = {"port": port, "users_file": str(users)}
    system = System(
        tmp_path / "system",
        f"embedded:///{tmp_path / 'broker.sqlite3'}",
        processes,
        console=console,
        four_eyes=FOUR_EYES,
    )
    process = processes.start("revoker", "console", env=system.env, name="console")
    wait_until(lambda: "console.listening" in process.output, 30, "the console")
    yield DeskAtWork(system, f"http://127.0.0.1:{port}", chromium, [])
    system.close()


@pytest.fixture
def desk_at_work(idle_desk: DeskAtWork) -> DeskAtWork:
    """A whole installation with its console."""
    idle_desk.system.start("intake", "worker", "recorder")
    return idle_desk


def write_users(file: Path) -> None:
    """Write the file of those who sign in by the password of the tests."""
    since = datetime.now(UTC).isoformat()
    common = {"password": HASH, "since": since}
    users = {name: {"role": role, "known_as": [f"{name}@example.com"], **common} for name, role in PEOPLE.items()}
    file.write_text(json.dumps({"users": users}))
    file.chmod(0o600)
