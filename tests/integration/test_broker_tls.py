"""TLS to the broker: a certificate that is not the broker's gets no byte of a credential."""

import socket
import ssl
import threading
from pathlib import Path

import pytest
from certificates import self_signed, server_side

from worker import broker
from worker.publisher import BROKER_ERRORS


@pytest.mark.parametrize(("host", "seen"), [("127.0.0.1", [b"AMQP"]), ("127.0.0.2", [])])
def test_a_trusted_certificate_is_good_for_its_own_host_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, seen: list[bytes]
) -> None:
    """It says 127.0.0.1: there the protocol begins, and at another address not one byte of it is sent."""
    pem = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    received: list[bytes] = []
    door = socket.create_server((host, 0))
    url = f"amqps://worker:password@{host}:{door.getsockname()[1]}//"
    server = threading.Thread(target=_serve_once, args=(door, server_side(pem), received))
    server.start()
    with pytest.raises(BROKER_ERRORS), broker.connect(url) as connection:
        connection.connect()
    server.join(10)
    assert received == seen


def _serve_once(door: socket.socket, context: ssl.SSLContext, received: list[bytes]) -> None:
    """Take one connection, note the first bytes of the protocol, and hang up."""
    client, _ = door.accept()
    door.close()
    try:
        with context.wrap_socket(client, server_side=True) as safe:
            received.append(safe.recv(4))
    except (ssl.SSLError, ConnectionError):
        client.close()
