"""Keys and secrets are rotated while events stream in: nothing is lost, nothing dies, nothing is restarted."""

import json
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from servers import Daemon, wait_until
from system import System, digest

from tasks.sealing import load_keys, seal

PART = 80  # events, at least, before, between and after the two changes
NEW_SECRET = "planted-new-client-secret-0123456789"
CLOSED = {"accepted", "confirmed", "already_revoked", "no_session_known"}
SECRET_FILES = tuple(f"providers__{name}__client_secret" for name in ("genesys", "genesys-eu"))


def put_secret(system: System, value: str) -> None:
    """Write the client secret where the worker reads it."""
    folder = system.home / "secrets"
    folder.mkdir(exist_ok=True)
    system.env["REVOKER_SECRETS_DIR"] = str(folder)
    for name in SECRET_FILES:
        (folder / name).write_text(value)
        (folder / name).chmod(0o600)


class Stream:
    """Sealed sessions at two providers, and users whom only the worker's own credential can log out; from a thread."""

    def __init__(self, system: System) -> None:
        self.system, self.ids, self.wanted = system, list[str](), set[str]()
        self.old_key = system.key
        self._stop = threading.Event()

    @contextmanager
    def flowing(self) -> Iterator[None]:
        """Publish all the while, and raise what went wrong."""
        with ThreadPoolExecutor(1) as pool:
            flow = pool.submit(self._flow)
            try:
                yield
            finally:
                self._stop.set()
            flow.result()

    def wait_for(self, more: int) -> None:
        """Wait until *more* events were published."""
        wanted = len(self.ids) + more
        wait_until(lambda: len(self.ids) >= wanted, 40, "the stream to go on")

    def _flow(self) -> None:
        while not self._stop.wait(0.05):  # for a pace, not to be in step with anything
            self.ids += self.system.publish([self._event(number) for number in range(8)])

    def _event(self, number: int) -> dict[str, Any]:
        if number % 4 == 0:
            user = str(uuid.uuid4())
            self.wanted.add(user)
            return self.system.disabled(accounts={"genesys": {"user_id": user}})
        token, provider = f"sbx-{uuid.uuid4()}", ("genesys", "finbourne")[number % 2]
        self.wanted.add(digest(token))
        key = self.old_key if number == 1 else self.system.key  # of a producer that has not heard of the new one
        return self.system.ended({"provider": provider, "credential": {"jwe": seal(token, provider, key)}})


def add_key(system: System) -> None:
    """Make a sealing key, and have the producer seal with it at once."""
    system.revoker("keys", "generate", "--kid", "new-key")
    system.key = load_keys(system.home / "keys")._keys["new-key"]


def change_secret(system: System, worker: Daemon) -> None:
    """Change it at the provider first, as it goes; some calls later in the worker's files."""
    system.change_secret(NEW_SECRET)
    wait_until(lambda: "provider.held" in worker.output, 30, "the old secret to be refused")
    put_secret(system, NEW_SECRET)


def test_rotation_under_load_loses_nothing(system: System) -> None:
    """A sealing key is added and the client secret changed: every token dies, no dead letter, the same processes.

    Not all producers seal with the new key at once.
    """
    put_secret(system, "sandbox-client-secret")
    _, worker, _ = system.start()
    stream = Stream(system)
    with stream.flowing():
        stream.wait_for(PART)
        wait_until(system.revoked, 40, "the worker to be at work, with the keys it found")
        add_key(system)
        stream.wait_for(PART)
        change_secret(system, worker)
        stream.wait_for(PART)
    system.wait_closed(stream.ids, 90)
    assert system.ledger.dead_letters() == []
    assert stream.wanted <= system.revoked().keys()
    assert {state for each in stream.ids for state in system.states(each).values()} <= CLOSED
    assert not system.queued()
    assert NEW_SECRET not in worker.output


def test_a_key_in_use_is_seen_to_be(system: System) -> None:
    """What a worker opened is on record when it stops, at the latest."""
    _, worker, _ = system.start()
    add_key(system)
    event = system.ended(system.session("finbourne", f"sbx-{uuid.uuid4()}"))
    system.wait_closed(system.publish([event]))
    assert worker.stop() == 0
    new, old = json.loads(system.revoker("keys", "list", "-o", "json").stdout)["items"]
    assert (new["kid"], old["kid"]) == ("new-key", "test-key")
    assert new["last_used"]
    assert not old["last_used"]
