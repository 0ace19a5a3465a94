"""The fault proxy against a real echo server: it does what it is told, and nothing else."""

import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from certificates import self_signed, server_side
from servers import wait_until

from chaos.proxy import BLACK_HOLE, Fault, Proxy, Way


class _Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        try:
            while data := self.request.recv(65_536):
                self.request.sendall(data)
        except OSError:
            return  # a reset is what some tests are about


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that says everything again."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Echo) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.fixture
def proxy(echo: int) -> Iterator[Proxy]:
    """A proxy before the echo."""
    with Proxy(echo) as made:
        yield made


@pytest.fixture
def client(proxy: Proxy) -> Iterator[socket.socket]:
    """A connection through the proxy that has carried one word already."""
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as made:
        assert say(made, b"hello") == b"hello"
        yield made


def say(client: socket.socket, data: bytes) -> bytes:
    """Send *data*, return as much of the answer."""
    client.sendall(data)
    return hear(client, len(data))


def call(proxy: Proxy, data: bytes) -> bytes:
    """The answer to *data* over a connection of its own."""
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as client:
        return say(client, data)


def hear(client: socket.socket, count: int) -> bytes:
    """The next *count* bytes."""
    heard = b""
    while len(heard) < count and (data := client.recv(count - len(heard))):
        heard += data
    return heard


def test_a_healthy_line_carries_everything_both_ways(client: socket.socket, proxy: Proxy) -> None:
    """Two megabytes there and back, counted; and the end is passed on."""
    big = bytes(range(256)) * 8192
    sender = threading.Thread(target=client.sendall, args=(big,))
    sender.start()
    assert hear(client, len(big)) == big
    sender.join()
    client.shutdown(socket.SHUT_WR)
    assert client.recv(1) == b""
    assert proxy.carried == {Way.UP: len(big) + 5, Way.DOWN: len(big) + 5}


def test_latency_holds_every_chunk_back_each_way(client: socket.socket, proxy: Proxy) -> None:
    """A tenth of a second there and one back."""
    proxy.break_with(Fault(latency=0.1))
    began = time.monotonic()
    assert say(client, b"later") == b"later"
    assert 0.2 <= time.monotonic() - began < 1


def test_a_dripping_line_gives_a_byte_at_a_time(client: socket.socket, proxy: Proxy) -> None:
    """Twenty bytes of 10 ms each."""
    proxy.break_with(Fault(drip=0.01))
    began = time.monotonic()
    assert say(client, b"x" * 20) == b"x" * 20
    assert time.monotonic() - began >= 0.2


def test_a_black_hole_closes_nothing_and_loses_nothing(client: socket.socket, proxy: Proxy) -> None:
    """What was sent into it arrives once it is healed, as TCP sends again what was not acknowledged."""
    proxy.break_with(BLACK_HOLE)
    client.sendall(b"anybody?")
    client.settimeout(0.2)
    with pytest.raises(TimeoutError):
        client.recv(1)
    proxy.heal()
    client.settimeout(5)
    assert hear(client, 8) == b"anybody?"


@pytest.mark.parametrize(("way", "arrived"), [(Way.UP, 5), (Way.DOWN, 13)])
def test_one_direction_can_be_cut(client: socket.socket, proxy: Proxy, way: Way, arrived: int) -> None:
    """The target hears the client, or does not; either way the client hears nothing."""
    proxy.break_with(Fault(stuck=frozenset({way})))
    client.sendall(b"anybody?")
    client.settimeout(0.2)
    with pytest.raises(TimeoutError):
        client.recv(1)
    assert proxy.carried[Way.UP] == arrived
    assert proxy.carried[Way.DOWN] == 5


def test_a_reset_ends_open_connections_and_serves_new_ones(client: socket.socket, proxy: Proxy) -> None:
    """As a firewall that forgot: RST, no FIN."""
    proxy.reset()
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    assert call(proxy, b"again") == b"again"
    wait_until(lambda: proxy.connections == 0, 5, "both to be gone")


def test_refusing_resets_each_new_connection(proxy: Proxy) -> None:
    """Nothing reaches the target."""
    proxy.break_with(Fault(refuse=True))
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        call(proxy, b"let me in")
    assert not proxy.carried


@pytest.mark.parametrize("count", [1, 7, 12])
def test_a_cut_comes_after_exactly_so_many_bytes_and_once(client: socket.socket, proxy: Proxy, count: int) -> None:
    """The target got them all; the next connection is whole."""
    proxy.cut_after(count)
    client.sendall(b"twelve bytes")
    with pytest.raises(ConnectionResetError):
        hear(client, 13)
    assert proxy.carried[Way.UP] == 5 + count
    assert call(proxy, b"twelve bytes") == b"twelve bytes"


def test_a_slow_close_passes_the_end_on_late(client: socket.socket, proxy: Proxy) -> None:
    """The bytes come at once, the end half a second after them."""
    proxy.break_with(Fault(slow_close=0.25))
    began = time.monotonic()
    assert say(client, b"bye") == b"bye"
    client.shutdown(socket.SHUT_WR)
    assert client.recv(1) == b""
    assert time.monotonic() - began >= 0.5


def test_a_target_that_is_away_resets_the_client(echo: int) -> None:
    """Nobody listens there: the client is not left waiting."""
    del echo
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with Proxy(closed.getsockname()[1]) as proxy, pytest.raises(ConnectionResetError):
            call(proxy, b"anybody?")


def test_it_may_speak_tls_with_its_clients(echo: int, tmp_path: Path) -> None:
    """What a client encrypts arrives in clear; nothing does from one who does not trust the certificate."""
    pem = self_signed(tmp_path)
    with Proxy(echo, tls=server_side(pem)) as proxy:
        with pytest.raises(ssl.SSLCertVerificationError):
            _encrypted(proxy, ssl.create_default_context())
        assert proxy.carried[Way.UP] == 0
        with _encrypted(proxy, ssl.create_default_context(cafile=str(pem))) as client:
            assert say(client, b"hello") == b"hello"
        assert proxy.carried[Way.UP] == 5


def _encrypted(proxy: Proxy, trust: ssl.SSLContext) -> ssl.SSLSocket:
    plain = socket.create_connection(("127.0.0.1", proxy.port), timeout=5)
    try:
        return trust.wrap_socket(plain, server_hostname="127.0.0.1")
    finally:
        plain.close()  # where the handshake failed; else the other one owns it by now
