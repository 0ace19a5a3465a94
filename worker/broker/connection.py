"""Connections to the broker, RabbitMQ or embedded, from one URL."""

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final

from amqp.channel import Channel
from kombu import Connection, compression
from kombu.utils.url import parse_url

from tasks.tls import OLDEST, SYSTEM_TRUST, TlsSettings
from worker.broker import embedded, pyamqp
from worker.broker.publication import BROKER_ERRORS
from worker.settings import Settings

CONNECT_TIMEOUT: Final = 5.0  # seconds
HEARTBEAT: Final = 30.0  # seconds; a dead peer is noticed within two
SOCKET_TIMEOUT: Final = 12.0  # seconds for one read or write: of a handshake, or under a memory alarm
ACK_DELAY: Final = 0.25  # seconds; 0.02 were enough for 500 acknowledgements on one node


def prepare() -> None:
    """Have kombu know the embedded broker, read everything and decompress nothing: small messages stay small."""
    embedded.register()
    pyamqp.install()
    for method in compression.encoders():
        compression.register(_refuse, _refuse, method)


def connect(url: str, tls: TlsSettings = SYSTEM_TRUST) -> Connection:
    """A connection to *url*, not yet opened. A broker that hangs fails what waits for it, in bounded time."""
    prepare()
    return Connection(
        url,
        ssl=encryption(url, tls),
        connect_timeout=CONNECT_TIMEOUT,
        heartbeat=HEARTBEAT,
        transport_options=socket_timeouts(url),
    )


def connector(settings: Settings) -> Callable[[], Connection]:
    """A function that makes new connections to the broker of *settings*, as `connect` does."""
    return partial(connect, settings.broker_url.get_secret_value(), settings.broker_tls)


def _refuse(_body: bytes) -> bytes:
    raise ValueError("no message of ours is compressed")


def socket_timeouts(url: str) -> dict[str, float]:
    """The transport's options that bound every blocking read and write, for kombu and Celery alike."""
    return {} if is_embedded(url) else {"read_timeout": SOCKET_TIMEOUT, "write_timeout": SOCKET_TIMEOUT}


def let_acks_arrive(connection: Connection) -> None:
    """To be called after the last acknowledgement and before its channel is closed.

    A RabbitMQ channel sends a quorum queue 32 commands and keeps the others for later; when it is closed, it forgets
    them. Of 500 acknowledgements right before a close 3.10.8 forgot up to 467: nothing is lost, but every one of those
    calls is made again.
    """
    if connection.transport.driver_type == "amqp":
        time.sleep(ACK_DELAY)


def give_back(channel: Any) -> None:
    """Give back what *channel* has delivered and nobody settled; to be called before it is closed.

    What RabbitMQ finds unsettled on a channel that is closed, it counts as a failed try of each message.
    """
    if isinstance(channel, Channel):
        with suppress(*BROKER_ERRORS):  # it may be at its end already, and the broker delivers again
            pyamqp.give_back_all(channel)


def cut(connection: Connection) -> None:
    """Close the socket of *connection*, so that whoever reads or writes it fails at once."""
    if connection.transport.driver_type == "amqp":
        with suppress(OSError):  # it may be at its end already
            connection.connection.transport.sock.shutdown(socket.SHUT_RDWR)


def encryption(url: str, tls: TlsSettings) -> dict[str, Any] | bool:
    """The TLS options for kombu and Celery: `amqps://` alone checks the certificate's chain, but not whose it is."""
    if not url.startswith("amqps:"):
        return False
    files = {"ca_certs": tls.ca_file, "certfile": tls.certificate_file, "keyfile": tls.key_file}
    # None stands for the URL's own host name; its presence is what turns the check on.
    checked = {"server_hostname": None, "tls_minimum_version": OLDEST}
    return checked | {name: str(file) for name, file in files.items() if file}


def is_embedded(url: str) -> bool:
    """Whether *url* names the embedded broker."""
    return url.startswith("embedded:")


def user(url: str) -> str | None:
    """The broker user of *url*, which RabbitMQ proves to consumers; None for a broker that proves none."""
    return None if is_embedded(url) else str(parse_url(url)["userid"] or "guest")


def vhost(url: str) -> str | None:
    """The virtual host of *url*, of several the first one's; None for a broker that has none."""
    return None if is_embedded(url) else str(parse_url(url.partition(";")[0])["virtual_host"] or "/")
