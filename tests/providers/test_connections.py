"""A kept connection is clean, or it is closed: an answer nobody asked for is never taken for that of the next call."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import aiohttp
import pytest
from aiohttp.client_proto import ResponseHandler
from calls import TOKEN
from certificates import self_signed, server_side
from pydantic import SecretStr
from yarl import URL

from tasks.outcome import Transient
from tasks.providers.answers import Answer
from tasks.providers.http import CleanConnector, Edge, _OneAnswer, open_session
from tasks.providers.provider import Request
from tasks.tls import TlsSettings

OK = b"HTTP/1.1 204 No Content\r\n\r\n"
BAD = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
EXTRAS = {
    "a second answer": OK,
    "two more answers": OK + OK,
    "a failure": BAD,
    "408": b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    "an answer with a body": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    "a head without its body": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
    "half an answer": b"HTTP/1.1 204 No",
    "a letter": b"H",
    "100 Continue": b"HTTP/1.1 100 Continue\r\n\r\n",
    "garbage": b"\x00\xff",
}
ANSWERS = {
    "204": OK,
    "204 that announces a body": b"HTTP/1.1 204 No Content\r\nContent-Length: 27\r\n\r\n",
    "200 without a body": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "200 with a body": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    "200 in chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
}


class Gateway:
    """Answers the first request with *first*, says *more* once told to, and answers 503 to everything after that."""

    def __init__(self, first: bytes, more: bytes = b"") -> None:
        self._first, self._more = first, more
        self.say_more, self.hung_up = asyncio.Event(), asyncio.Event()
        self.connections = 0
        self.url = ""
        self._talking: list[asyncio.StreamWriter] = []

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Listen on a free port of 127.0.0.1, and hang up at the end: a client may keep its connections for long."""
        server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        try:
            yield
        finally:
            server.close()
            for each in self._talking:
                each.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._talking.append(writer)
        is_first = self.connections == 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(self._first if is_first else BAD)
        if is_first and self._more:
            await self.say_more.wait()
            writer.write(self._more)
        while await reader.read(65_536):
            writer.write(BAD)
        self.hung_up.set()
        writer.close()


def asking(url: str) -> Request:
    """Return a request that carries a token."""
    return Request("DELETE", URL(url), {"Authorization": f"Bearer {TOKEN}"}, None, (SecretStr(TOKEN),))


@pytest.fixture
async def edge() -> AsyncIterator[Edge]:
    """Return an edge that has one connection at a time."""
    async with open_session(connections=1) as session:
        yield Edge(session, 5)


async def status(edge: Edge, url: str) -> int:
    """Return the status of one call's answer."""
    answer = await edge.send(asking(url), edge.deadline())
    assert isinstance(answer, Answer), answer
    return answer.status


@pytest.mark.parametrize("extra", EXTRAS)
@pytest.mark.parametrize("first", ANSWERS)
async def test_what_arrives_behind_an_answer_closes_the_connection(edge: Edge, first: str, extra: str) -> None:
    """However late: the next call has a connection, and an answer, of its own."""
    gateway = Gateway(ANSWERS[first], EXTRAS[extra])
    async with gateway.listening():
        assert await status(edge, gateway.url) // 100 == 2
        gateway.say_more.set()
        async with asyncio.timeout(5):
            await gateway.hung_up.wait()
        assert await status(edge, gateway.url) == 503
        assert gateway.connections == 2


@pytest.mark.parametrize("extra", EXTRAS)
@pytest.mark.parametrize("first", ANSWERS)
async def test_what_arrives_in_the_packet_of_an_answer_closes_the_connection(
    edge: Edge, first: str, extra: str
) -> None:
    """The answer itself may be taken, or the call be tried again; the next call never gets the rest."""
    gateway = Gateway(ANSWERS[first] + EXTRAS[extra])
    async with gateway.listening():
        got = await edge.send(asking(gateway.url), edge.deadline())
        assert isinstance(got, Transient) or got.status // 100 == 2
        async with asyncio.timeout(5):
            await gateway.hung_up.wait()
        assert await status(edge, gateway.url) == 503
        assert gateway.connections == 2


async def test_what_has_arrived_but_was_not_read_yet_closes_the_connection(edge: Edge) -> None:
    """The event loop was busy when it came, so the bytes still wait in the socket when the next call is made."""
    first_answered, more_sent = threading.Event(), threading.Event()

    def serve(listener: socket.socket) -> None:
        kept, _ = listener.accept()
        kept.recv(65_536)
        kept.sendall(OK)
        first_answered.wait(5)
        kept.sendall(OK)
        more_sent.set()
        other, _ = listener.accept()
        other.recv(65_536)
        other.sendall(BAD)
        kept.close()
        other.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = threading.Thread(target=serve, args=(listener,))
        serving.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        assert await status(edge, url) == 204
        first_answered.set()
        more_sent.wait(5)  # blocks the event loop: that is the point
        assert await status(edge, url) == 503
        serving.join(5)


@pytest.mark.parametrize("first", ANSWERS)
async def test_a_clean_connection_is_used_again(edge: Edge, first: str) -> None:
    """Keeping connections is what makes a revocation fast."""
    gateway = Gateway(b"HTTP/1.1 103 Early Hints\r\n\r\n" + ANSWERS[first])
    async with gateway.listening():
        assert await status(edge, gateway.url) // 100 == 2
        assert [await status(edge, gateway.url) for _ in range(3)] == [503] * 3
        assert gateway.connections == 1


async def test_a_connection_with_tls_is_used_again(tmp_path: Path) -> None:
    """What TLS says for itself (its tickets, RFC 8446 section 4.6.1) is nothing that an answer could be."""
    accepted: list[object] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.append(writer)
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(OK)

    pem = self_signed(tmp_path)
    server = await asyncio.start_server(_until_it_ends(talk), "127.0.0.1", 0, ssl=server_side(pem))
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server, open_session(connections=1, tls=TlsSettings(ca_file=pem)) as session:
        assert [await status(Edge(session, 5), url) for _ in range(4)] == [204] * 4
    assert len(accepted) == 1


def _until_it_ends(talk: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    async def talking(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await talk(reader, writer)
        writer.close()

    return talking


async def test_what_arrives_before_any_request_is_no_answer() -> None:
    """A server that speaks first has nothing to say to us."""
    handler = _OneAnswer(asyncio.get_running_loop())
    transport = _Transport()
    handler.connection_made(transport)
    handler.data_received(OK)
    handler.set_response_params()
    assert transport.closed
    assert len(handler._buffer) == 0


class _Transport(asyncio.Transport):
    closed = False

    def close(self) -> None:
        """Remember that nobody wants to hear more."""
        self.closed = True

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return self.closed

    def get_extra_info(self, name: str, default: object = None) -> object:
        """Return nothing: there is no socket."""
        del name
        return default


async def test_the_parts_of_aiohttp_that_are_used_are_there() -> None:
    """A new version of aiohttp that works otherwise must not go unnoticed."""
    plain = aiohttp.TCPConnector()
    made = plain._factory()
    assert type(made) is ResponseHandler
    assert isinstance(plain._factory, partial)
    assert {"_tail", "_payload", "_parser", "_should_close", "_buffer"} <= {*vars(made), *dir(made)}
    assert isinstance(ResponseHandler.should_close, property)
    assert {"set_response_params", "data_received", "is_connected", "force_close"} <= vars(ResponseHandler).keys()
    clean = CleanConnector()
    assert type(clean._factory()) is _OneAnswer
    await plain.close()
    await clean.close()
