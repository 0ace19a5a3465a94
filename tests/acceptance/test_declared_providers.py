"""Providers that nobody wrote: added by the page alone, in two steps, and through kills of the worker."""

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from documents import blocks, section
from postroom.postroom import Postroom
from servers import Processes, wait_until
from system import System
from typed import lines_of, typed

from tasks.outcome import State
from tasks.providers.declared import REVOKE_LISTED, REVOKE_USER
from worker.ledger import CallRow
from worker.settings.files import CONFIG_FILE, SECRETS_DIR

PAGE = "A provider that runs here"
KEY = "postroom-example-key"
GRACE = "grace@example.com"
LONGEST = 25  # lines of the table
PERSON = "4711"
DEVICES = [f"dev-{number:x}" for number in range(5)]


class DeadlyPostroom(Postroom):
    """Calls *kill* when requests of these numbers, from 1, are on their way; they are answered all the same."""

    def __init__(self, *deadly: int) -> None:
        super().__init__(0, KEY, {PERSON: list(DEVICES)})
        self.deadly = {*deadly}
        self.kill: Callable[[], None] = lambda: None

    def page(self, person: str, start: int) -> Any:
        """Return a page of what *person* is signed in on."""
        found = super().page(person, start)
        self._heard()
        return found

    def sign_out(self, device: str) -> Any:
        """Sign *device* out."""
        done = super().sign_out(device)
        self._heard()
        return done

    def _heard(self) -> None:
        if len(self.asked) + 1 in self.deadly:
            self.deadly.discard(len(self.asked) + 1)
            self.kill()


@pytest.fixture
def postroom() -> Iterator[DeadlyPostroom]:
    """The service, with one person on five devices."""
    with DeadlyPostroom() as service:
        threading.Thread(target=service.serve_forever, daemon=True).start()
        yield service
        service.shutdown()


@pytest.fixture
def system(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    processes: Processes,
    monkeypatch: pytest.MonkeyPatch,
    postroom: DeadlyPostroom,
) -> Iterator[System]:
    """An installation to which a newcomer has added the table of the page, with the key where the page says."""
    [table] = blocks("toml", section(PAGE))
    assert len([line for line in table.splitlines() if line]) <= LONGEST
    is_embedded = getattr(request, "param", "embedded") == "embedded"
    url = f"embedded:///{tmp_path / 'broker.sqlite3'}" if is_embedded else request.getfixturevalue("rabbitmq_url")
    made = System(tmp_path / "system", url, processes)
    file, secrets = Path(made.env[CONFIG_FILE]), tmp_path / "secrets"
    with file.open("a") as settings:
        settings.write("\n" + re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{postroom.server_port}", table))
    secrets.mkdir(mode=0o700)
    (secrets / "providers__postroom__auth__api_key").write_text(KEY)
    (secrets / "providers__postroom__auth__api_key").chmod(0o600)
    made.env[SECRETS_DIR] = str(secrets)
    for name, value in made.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    yield made
    made.close()


def rows(system: System, operation: str) -> list[CallRow]:
    """Return what the ledger has of the calls of *operation*."""
    news, _ = system.ledger.changes_since(0)
    return [row for row in news if isinstance(row, CallRow) and row.operation == operation]


def is_settled(system: System, *states: State) -> bool:
    """Whether the call that lists has come to one of *states*."""
    return any(row.state in states for row in rows(system, REVOKE_USER))


def test_a_newcomer_adds_a_provider_by_its_page(system: System, postroom: DeadlyPostroom, tmp_path: Path) -> None:
    """As it is typed: every device is signed out by a call of its own, shown below the list, which is empty."""
    system.start()
    tried, checked, published, explained = lines_of(blocks("sh", section(PAGE))[0], {})
    typed(tried, tmp_path, {0})
    typed(checked, tmp_path, {0})
    typed(published, tmp_path, {0})
    wait_until(lambda: is_settled(system, State.CONFIRMED), 30, "the proof")
    assert postroom.devices == {PERSON: []}
    assert Counter(each for each in postroom.asked if each.startswith("DELETE")).most_common(1)[0][1] == 1
    shown = typed(explained, tmp_path).output
    found = re.findall(r"(└ )?(http\.\w+)", shown)
    assert found == [("", REVOKE_USER), *[("└ ", REVOKE_LISTED)] * len(DEVICES)]
    assert len(re.findall(r"\bin_part\b", shown)) == 1 + len(DEVICES)
    assert "OUT IN PART: postroom leaves alive: applications from before 2025" in shown


@pytest.mark.parametrize("system", ["rabbitmq"], indirect=True)  # which gives back at once what a killed worker had
def test_no_item_is_lost_or_doubled_by_kills(system: System, postroom: DeadlyPostroom) -> None:
    """The worker is killed at the last page, when no call is published yet, and while devices are signed out.

    Killed before it could note that it had looked, it finds an empty list at its first look: dead already.
    """
    postroom.deadly = {3, 8}
    _, worker, _ = system.start()
    workers = [worker]

    def kill() -> None:
        workers[-1].kill9()

    postroom.kill = kill
    [event] = system.publish([system.disabled(accounts={"postroom": {"user_id": PERSON}})])

    def proved() -> bool:
        if not workers[-1].running:
            workers.extend(system.start("worker"))
        return is_settled(system, State.CONFIRMED, State.ALREADY_REVOKED)

    wait_until(proved, 90, "the proof")
    assert (len(workers), postroom.devices) == (3, {PERSON: []})
    system.wait_closed([event])
    items = rows(system, REVOKE_LISTED)
    assert len({row.call_id for row in items}) == len(items) == len(DEVICES)
    assert {row.state for row in items} <= {State.ACCEPTED, State.ALREADY_REVOKED}
