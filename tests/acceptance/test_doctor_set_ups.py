"""`revoker doctor` on healthy installations, and on broken ones: each fault has its finding, and no other."""

import json
import re
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from time import time
from typing import Any

import pytest
from certificates import Authority
from click.testing import CliRunner, Result
from servers import Processes
from system import System, write_settings
from tls_door import HERE, WRONG, Door

from worker import broker
from worker.broker import topology
from worker.cli import main
from worker.operations.doctor import files

Document = dict[str, Any]
AHEAD = 3600  # seconds


def doctor(system: System, patch: pytest.MonkeyPatch, *options: str, document: Document | None = None) -> Result:
    """What the doctor says of *system*, or of it with the settings of *document* instead."""
    for name, value in system.env.items():
        patch.setenv(name, value)
    write_settings(system.home, document or system.document)
    result = CliRunner().invoke(main, ["doctor", *options], prog_name="revoker")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert not [name for name, secret in system.secrets().items() if secret and secret in result.output]
    return result


def found(result: Result) -> list[Document]:
    """The findings of `-o json`."""
    items: list[Document] = json.loads(result.stdout)["items"]
    return items


def declared(system: System) -> System:
    """*system* with its topology and an event that waits."""
    system.publish([system.ended(system.session("finbourne", "sbx-waiting"))])
    return system


def content(home: Path) -> dict[str, tuple[int, bytes]]:
    """Mode and content of every file; the index of a log that is in use holds nothing of its own."""
    paths = [path for each in (home, *home.parent.glob("broker*")) for path in (each, *each.rglob("*"))]
    paths = [path for path in paths if path.is_file() and not path.name.endswith("-shm")]
    return {str(path): (path.stat().st_mode, path.read_bytes()) for path in paths}


def test_a_healthy_installation_is_told_so_and_left_as_it_is(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """On both brokers: exit code 0, every check ok, no file, row, message or consumer is another one."""
    with broker.connect(system.broker_url) as connection:
        topology.declare(connection, system.providers)
    asked = system.journal()
    result = doctor(system, monkeypatch, "-o", "json", "--strict")
    assert result.exit_code == 0, result.output
    assert Counter(each["state"] for each in found(result)) == {"ok": len(found(result))}
    assert {each["about"] for each in found(result) if each["check"] == "provider.credential"} == {*system.providers}
    assert not [each for each in system.journal()[len(asked) :] if each["revoked"]]
    declared(system)
    before, queued = content(system.home), system.queued()
    table = doctor(system, monkeypatch)
    assert (content(system.home), system.queued()) == (before, queued)
    assert max(map(len, table.stdout.splitlines())) <= 80
    assert re.search(r"^(1 warning, )?\d+ ok$", table.stderr, re.MULTILINE), table.stdout


# -- broken set-ups: each gives the settings to look at, while it lasts -----------------------------------------------

Fault = Callable[[System, pytest.MonkeyPatch], AbstractContextManager[Document]]


def with_settings(change: Callable[[System], Document]) -> Fault:
    """Other settings, and nothing else."""
    return lambda system, _: nullcontext(system.document | change(system))


def a_secret(provider: str, secret: str, value: str) -> Fault:
    """Another secret of a provider."""

    def change(system: System) -> Document:
        providers: dict[str, Document] = system.document["providers"]
        return {"providers": providers | {provider: providers[provider] | {secret: value}}}

    return with_settings(change)


def a_tls_door(wrong: str) -> Fault:
    """A provider whose certificate is no good."""

    @contextmanager
    def fault(system: System, _: pytest.MonkeyPatch) -> Iterator[Document]:
        authority = Authority(system.home / f"authority-{len(list(system.home.iterdir()))}")
        with Door(WRONG[wrong](authority)) as door:
            yield system.document | of_finbourne(f"https://{HERE}:{door.port}/identity", ca_file=str(authority.file))

    return fault


def of_finbourne(url: str, **tls: str) -> Document:
    """The settings of one provider at *url*."""
    return {"providers": {"finbourne": {"kind": "finbourne", "base_url": url, **({"tls": tls} if tls else {})}}}


class _Ahead(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.send_response(404)
        self.end_headers()

    def date_time_string(self, _timestamp: float | None = None) -> str:
        return super().date_time_string(time() + AHEAD)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@contextmanager
def a_clock_ahead(system: System, _: pytest.MonkeyPatch) -> Iterator[Document]:
    """A provider whose clock is an hour ahead."""
    with ThreadingHTTPServer((HERE, 0), _Ahead) as server:
        Thread(target=server.serve_forever, args=(0.05,)).start()
        yield system.document | of_finbourne(f"http://{HERE}:{server.server_port}/identity")
        server.shutdown()


def a_mode(name: str, mode: int) -> Fault:
    """A file below the installation's home that others may touch."""

    @contextmanager
    def fault(system: System, _: pytest.MonkeyPatch) -> Iterator[Document]:
        [file] = system.home.glob(name)
        before = file.stat().st_mode
        file.chmod(mode)
        yield system.document
        file.chmod(before)

    return fault


@contextmanager
def an_old_schema(system: System, _: pytest.MonkeyPatch) -> Iterator[Document]:
    """A ledger that was never migrated."""
    empty = system.home / "empty.sqlite3"
    empty.touch(mode=0o600)
    yield system.document | {"ledger_url": f"sqlite:///{empty}"}


@contextmanager
def a_full_disk(system: System, patch: pytest.MonkeyPatch) -> Iterator[Document]:
    """As if every disk were small."""
    patch.setattr(files, "NO_ROOM", 2**60)
    yield system.document


@contextmanager
def a_missing_queue(system: System, _: pytest.MonkeyPatch) -> Iterator[Document]:
    """A queue that somebody deleted."""
    with broker.connect(system.broker_url) as connection:
        connection.channel().queue_delete(topology.DOOR.name)
        yield system.document
        topology.declare(connection, system.providers)


@contextmanager
def a_missing_binding(system: System, _: pytest.MonkeyPatch) -> Iterator[Document]:
    """A queue that no message reaches."""
    with broker.connect(system.broker_url) as connection:
        connection.channel().queue_unbind(topology.DOOR.name, topology.CALLS.name, "door")
        yield system.document
        topology.declare(connection, system.providers)


@contextmanager
def no_dead_letters(system: System, _: pytest.MonkeyPatch) -> Iterator[Document]:
    """A queue that drops what it gives up."""
    with broker.connect(system.broker_url) as connection:
        connection.channel().queue_delete(topology.DOOR.name)
        connection.channel().queue_declare(topology.DOOR.name, arguments={"x-queue-type": "quorum"})
        topology.DOOR(connection.channel()).queue_bind()
        yield system.document
        connection.channel().queue_delete(topology.DOOR.name)
        topology.declare(connection, system.providers)


@contextmanager
def a_role_without_the_permission(system: System, _: pytest.MonkeyPatch) -> Iterator[Document]:
    """A role of our client at Genesys that may look, and revoke nothing."""
    system.permit("directory:user:view")
    yield system.document
    system.permit("oauth:token:delete")


def _a_closed_port(_: System) -> Document:
    with closing(socket.create_server((HERE, 0))) as taken:
        return of_finbourne(f"http://{HERE}:{taken.getsockname()[1]}")


def _keys_of(file: str) -> Fault:
    return with_settings(lambda system: {"sources": {"job": {"source": "urn:job", "keys": str(system.home / file)}}})


BROKEN: dict[str, tuple[Fault, dict[str, str]]] = {
    "a misspelt setting": (with_settings(lambda _: {"keys_folder": "keys"}), {"settings": "failed"}),
    "a queue deleted": (a_missing_queue, {"broker.queues": "failed"}),
    "a binding undone": (a_missing_binding, {"broker.bindings": "failed"}),
    "no dead letters": (no_dead_letters, {"broker.dead_letters": "failed"}),
    "no broker file": (
        with_settings(lambda system: {"broker_url": f"embedded:///{system.home / 'none.sqlite3'}"}),
        {"broker.connection": "failed"},
    ),
    "no ledger": (
        with_settings(lambda system: {"ledger_url": f"sqlite:///{system.home / 'none.sqlite3'}"}),
        {"ledger.connection": "failed"},
    ),
    "an old schema": (an_old_schema, {"ledger.schema": "failed"}),
    "a closed port": (with_settings(_a_closed_port), {"provider.connection": "failed"}),
    "a host without a name": (
        with_settings(lambda _: of_finbourne("https://no-such-host.invalid/identity")),
        {"provider.dns": "failed"},
    ),
    "an expired certificate": (a_tls_door("expired"), {"provider.tls": "failed"}),
    "an unknown authority": (a_tls_door("unknown authority"), {"provider.tls": "failed"}),
    "a wrong client secret": (a_secret("genesys", "client_secret", "planted-wrong"), {"provider.credential": "failed"}),
    "a role without the permission": (a_role_without_the_permission, {"provider.permission": "failed"}),
    "a clock ahead": (a_clock_ahead, {"provider.clock": "failed"}),
    "an open sealing key": (a_mode("keys/*.jwk.json", 0o644), {"keys.sealing": "failed"}),
    "no keys of a source": (_keys_of("none.jwks.json"), {"keys.signing": "failed"}),
    "an open ledger": (a_mode("ledger.sqlite3", 0o644), {"files.modes": "failed"}),
    "a full disk": (a_full_disk, {"disk.room": "failed"}),
}


@pytest.fixture
def embedded_system(tmp_path: Path, processes: Processes) -> Iterator[System]:
    """An installation on the embedded broker."""
    made = System(tmp_path / "system", f"embedded:///{tmp_path / 'system' / 'broker.sqlite3'}", processes)
    yield declared(made)
    made.close()


def test_each_broken_set_up_has_its_one_finding(embedded_system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 1, the finding with its remedy, and everything else is well. RabbitMQ's own have a test beside it."""
    told = {}
    for name, (fault, _) in BROKEN.items():
        with pytest.MonkeyPatch.context() as patch, fault(embedded_system, patch) as document:
            result = doctor(embedded_system, monkeypatch, "-o", "json", document=document)
        faults = [each for each in found(result) if each["state"] != "ok"]
        assert all(each["remedy"] for each in faults), name
        told[name] = result.exit_code, {each["check"]: each["state"] for each in faults}
    assert told == {name: (1, expected) for name, (_, expected) in BROKEN.items()}
