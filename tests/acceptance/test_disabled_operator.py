"""The desk obeys itself: an operator whom a directory disables is out of the console."""

import time
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from urllib.parse import urlencode

import pytest
from documents import blocks, section
from servers import Processes, free_port, wait_until
from system import System
from typed import lines_of, typed

from worker.settings.files import CONFIG_FILE

PASSWORD = "correct horse battery staple"


@pytest.fixture
def system(tmp_path: Path, processes: Processes, monkeypatch: pytest.MonkeyPatch) -> Iterator[System]:
    """An installation with a console, whose settings the commands of this process find."""
    url = f"embedded:///{tmp_path / 'broker.sqlite3'}"
    console = {"port": free_port(), "users_file": str(tmp_path / "users.json")}
    made = System(tmp_path / "system", url, processes, console=console)
    monkeypatch.setenv(CONFIG_FILE, made.env[CONFIG_FILE])
    monkeypatch.chdir(tmp_path)
    yield made
    made.close()


def asked(system: System, method: str, path: str, cookie: str = "", **fields: str) -> HTTPResponse:
    """What the console answers to a browser."""
    connection = HTTPConnection("127.0.0.1", system.document["console"]["port"], timeout=10)
    headers = {"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}
    try:
        connection.request(method, path, urlencode(fields), headers)
        answer = connection.getresponse()
        answer.read()
        return answer
    finally:
        connection.close()


def test_a_disabled_operator_is_out_of_the_console_within_five_seconds(system: System, tmp_path: Path) -> None:
    """Added and looked up as the page says; the event goes the whole way, through intake, broker and recorder."""
    system.start("recorder", "worker", "intake")
    typed("revoker ledger upgrade", tmp_path)
    console = system.processes.start("revoker", "console", env=system.env, name="console")
    wait_until(lambda: "console.listening" in console.output, 30, "the console")
    (tmp_path / "password").touch(mode=0o600)
    (tmp_path / "password").write_text(PASSWORD)
    users, sessions = (list(lines_of(block, {"boris": "olga"})) for block in blocks("sh", section("Signing in")))
    added, listed, removed = users
    typed(f"{added} --password-file password", tmp_path, {0})
    assert "olga@example.com" in typed(listed, tmp_path, {0}).stdout
    signed_in = asked(system, "POST", "/sign-in", name="olga", password=PASSWORD)
    cookie = signed_in.headers["Set-Cookie"].partition(";")[0]
    assert (signed_in.status, asked(system, "GET", "/settings", cookie).status) == (303, 200)
    assert "olga" in typed(sessions[0], tmp_path, {0}).stdout
    began = time.monotonic()
    system.publish([system.disabled(sub_id={"format": "email", "email": "Olga@Example.com"})])
    wait_until(lambda: asked(system, "GET", "/settings", cookie).status == 303, 5, "the end of the session")
    assert time.monotonic() - began < 5
    assert asked(system, "POST", "/sign-in", name="olga", password=PASSWORD).status == 403
    for line in (sessions[1], removed):
        typed(line, tmp_path, {0})
