"""Connections to the broker, RabbitMQ or embedded, from one URL."""

from __future__ import annotations

import re
from typing import Final

from kombu import Connection

from worker import embedded

CONNECT_TIMEOUT: Final = 5.0  # seconds
HEARTBEAT: Final = 30.0  # seconds; a dead peer is noticed within two
STALLED: Final = 12.0  # seconds a publisher's socket may stand still: under a memory alarm RabbitMQ stops reading


def connect(url: str, *, publishing: bool = False) -> Connection:
    """A connection to *url*, not yet opened.

    A *publishing* one bounds every read and write, so that a broker that stops reading fails the publish
    instead of hanging it.
    """
    embedded.register()
    options = {"read_timeout": STALLED, "write_timeout": STALLED} if publishing and not is_embedded(url) else {}
    return Connection(url, connect_timeout=CONNECT_TIMEOUT, heartbeat=HEARTBEAT, transport_options=options)


def is_embedded(url: str) -> bool:
    """Whether *url* names the embedded broker."""
    return url.startswith("embedded:")


def masked(url: str) -> str:
    """*url* without its password, for people and logs."""
    return re.sub(r"(?<=://)([^/@:]*):[^/@]*@", r"\1:•••@", url)
