"""The HTTP edge by itself: what it trusts, how much it takes, and what it leaves to others."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from calls import TOKEN
from certificates import self_signed, server_side
from fake_provider import FakeProvider, granting, silent
from pydantic import SecretStr
from yarl import URL

from tasks.outcome import Reason, Transient
from tasks.providers.answers import Answer
from tasks.providers.http import BODY_CAP, Edge, open_session
from tasks.providers.provider import Request
from tasks.tls import TlsSettings


def get(url: str) -> Request:
    """Return a request that carries a planted secret."""
    return Request("GET", URL(url), {"Authorization": f"Bearer {TOKEN}"}, None, (SecretStr(TOKEN),))


@pytest.fixture
async def trusted(tmp_path: Path) -> AsyncIterator[tuple[FakeProvider, aiohttp.ClientSession]]:
    """Return a TLS server, and a session that trusts its certificate."""
    pem = self_signed(tmp_path)
    server = await FakeProvider(silent, granting).start(server_side(pem))
    async with open_session(tls=TlsSettings(ca_file=pem)) as session:
        yield server, session
    await server.close()


async def test_a_private_authority_can_be_trusted(trusted: tuple[FakeProvider, aiohttp.ClientSession]) -> None:
    """A company's own certificate authority goes in with `tls`."""
    server, session = trusted
    server.will_answer(204)
    edge = Edge(session, 5)
    assert isinstance(await edge.send(get(server.url), edge.deadline()), Answer)


async def test_a_certificate_of_another_host_is_refused(trusted: tuple[FakeProvider, aiohttp.ClientSession]) -> None:
    """Trusting the authority is not enough: the name must be that of the server."""
    server, session = trusted
    edge = Edge(session, 5)
    got = await edge.send(get(server.url.replace("127.0.0.1", "localhost")), edge.deadline())
    assert got == Transient(Reason.NET_TLS)
    assert server.heard == []


async def test_a_tls_request_to_a_plain_server_fails_as_tls(
    server: FakeProvider, session: aiohttp.ClientSession
) -> None:
    """There is no falling back to clear text."""
    edge = Edge(session, 5)
    got = await edge.send(get(server.url.replace("http:", "https:")), edge.deadline())
    assert got == Transient(Reason.NET_TLS)
    assert server.heard == []


@pytest.mark.parametrize(("size", "expected"), [(BODY_CAP, Answer), (BODY_CAP + 1, Transient)])
async def test_a_body_is_taken_up_to_the_cap(
    server: FakeProvider, session: aiohttp.ClientSession, size: int, expected: type
) -> None:
    """64 KiB, and not a byte more."""
    server.will_answer(200, b"x" * size)
    edge = Edge(session, 5)
    assert type(await edge.send(get(server.url), edge.deadline())) is expected


async def test_nothing_is_sent_once_the_time_is_up(server: FakeProvider, session: aiohttp.ClientSession) -> None:
    """Where the login took all the time, the revocation is left to the next attempt."""
    edge = Edge(session, 5)
    assert await edge.send(get(server.url), edge.deadline() - 6) == Transient(Reason.NET_TIMEOUT)
    assert server.heard == []


async def test_a_bug_is_no_outcome(server: FakeProvider, session: aiohttp.ClientSession) -> None:
    """What is no failure of the network or the provider is raised, for somebody to mend."""
    edge = Edge(session, 5)
    await session.close()
    with pytest.raises(RuntimeError):
        await edge.send(get(server.url), edge.deadline())


async def test_a_hanging_provider_leaves_the_session_usable(
    server: FakeProvider, session: aiohttp.ClientSession
) -> None:
    """A connection given up is closed, not handed to the next call with a late answer in it."""
    edge = Edge(session, 0.3)
    assert isinstance(await edge.send(get(server.url), edge.deadline()), Transient)

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(text=request.path)

    server.answering = answer
    late = Edge(session, 5)
    answers = [await late.send(get(f"{server.url}/{number}"), late.deadline()) for number in range(5)]
    assert [got.body for got in answers if isinstance(got, Answer)] == [b"/0", b"/1", b"/2", b"/3", b"/4"]
