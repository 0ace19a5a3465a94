"""P1, P2: who is met on the way to a provider."""

import gzip
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Final
from urllib.parse import urlsplit

from certificates import Authority, self_signed, server_side
from memory import resident_mb
from servers import Daemon, free_port

from chaos.doors import Impostor, Name, answer, deaf
from chaos.proxy import Proxy, Way
from chaos.rows import row
from chaos.said import attempts, holds, wait_failed
from chaos.scene import Scene
from tasks.outcome import Reason

DARK: Final = "finbourne"  # the provider that cannot be reached
NAME: Final = "provider.test"  # RFC 6761 section 6.2: nobody's
QUICK: Final = {"hold": {"first": 1, "cap": 1}}  # each of the faults is met by a probe of its own
BUDGET: Final = 1.0  # seconds for one call
BOMB: Final = gzip.compress(b"x" * 30_000_000)


@row("P1", fast=(), settings=QUICK)
def nobody_or_somebody_else_is_there(scene: Scene) -> None:
    """No such name, nobody there, no TLS, certificates expired, of another host, self-signed: held, nothing sent."""
    name, authority, port = Name(NAME, scene.system.home), Authority(scene.system.home / "authority"), free_port()
    worker = _start(scene, f"https://{NAME}:{port}/finbourne/identity", {**name.env, **authority.env})
    scene.publish()
    wait_failed(worker, DARK, Reason.NET_DNS)
    name.resolves()
    wait_failed(worker, DARK, Reason.NET_CONNECT)
    with Impostor(itertools.repeat(answer("400 Bad Request")), port) as in_clear:
        wait_failed(worker, DARK, Reason.NET_TLS)
    assert in_clear.heard.startswith(b"\x16\x03"), "something else than a TLS handshake was sent"
    assert not any(each in in_clear.heard for each in (b"Bearer", b"HTTP", scene.load.marker.encode()))
    wrong = (authority.issue(NAME, expired=True), authority.issue("other.test"), self_signed(scene.system.home))
    for certificate in wrong:
        with Proxy(_sandbox(scene), port, server_side(certificate)) as impostor:
            wait_failed(worker, DARK, Reason.NET_TLS)
            assert not impostor.carried[Way.UP], f"sent to whoever shows {certificate.name}"
    with Proxy(_sandbox(scene), port, server_side(authority.issue(NAME))):
        scene.healed()
        scene.drain()
    _was_held_once(worker)


@row("P2", fast=(), settings=QUICK)
def answers_that_never_end(scene: Scene) -> None:
    """Endless and unpacking bodies, no connection, no answer, dripping headers and bodies: cut at 1 s, memory flat."""
    port = free_port()
    limit = {f"REVOKER_PROVIDERS__{DARK.upper()}__TIMEOUT": str(BUDGET)}
    worker = _start(scene, f"http://127.0.0.1:{port}/finbourne/identity", limit)
    with Impostor(_again_and_again(_endless), port):
        scene.publish()
        wait_failed(worker, DARK, Reason.PROVIDER_BAD_REPLY, 10)
        early = resident_mb(worker.pid)
        wait_failed(worker, DARK, Reason.PROVIDER_BAD_REPLY, 20)
    with Impostor(itertools.repeat(answer("503 Service Unavailable", BOMB, "Content-Encoding: gzip")), port):
        wait_failed(worker, DARK, Reason.HTTP_5XX)
    for door in _hanging(port):
        with door:
            wait_failed(worker, DARK, Reason.NET_TIMEOUT)
    grown = resident_mb(worker.pid) - early
    with Proxy(_sandbox(scene), port):
        scene.healed()
        scene.drain()
    took = [each["duration_ms"] / 1000 for each in attempts(worker.output, DARK)]
    scene.remark = f"(longest call {max(took):.2f} s, memory {grown:+.1f} MB)"
    assert max(took) <= BUDGET + 1
    assert grown < 16
    _was_held_once(worker)


def _start(scene: Scene, url: str, env: Mapping[str, str]) -> Daemon:
    """Everything, the worker with the dark provider's base URL changed."""
    scene.start("intake", "recorder")
    [worker] = scene.start("worker", env={**env, f"REVOKER_PROVIDERS__{DARK.upper()}__BASE_URL": url})
    return worker


def _sandbox(scene: Scene) -> int:
    return urlsplit(scene.system.base_url).port or 0


def _was_held_once(worker: Daemon) -> None:
    alerts = holds(worker.output)
    assert [each["provider"] for each in alerts] == [DARK], f"alerts: {alerts}"


def _hanging(port: int) -> Iterator[AbstractContextManager[object]]:
    yield deaf(port)
    yield Impostor(itertools.repeat(()), port)
    yield Impostor(_again_and_again(lambda: _dripping(b"HTTP/1.1 204 No")), port)
    yield Impostor(_again_and_again(lambda: _dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")), port)


def _again_and_again(make: Callable[[], Iterable[bytes]]) -> Iterator[Iterable[bytes]]:
    return (make() for _ in itertools.count())


def _dripping(head: bytes) -> Iterator[bytes]:
    yield head
    while True:
        time.sleep(0.1)
        yield b"x"


def _endless() -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
    while True:
        yield b"x" * 65_536
