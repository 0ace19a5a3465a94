"""The two brokers as the bench sees them: where they are, what is in them, and the files they keep."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from servers import RabbitNode, queued_at
from servers.embedded import queue_counts
from servers.private import private_node
from servers.shared import shared

from chaos.disk import DISK
from chaos.rows import EMBEDDED, Row
from worker import broker


class Broker(Protocol):
    """What a scene needs of its broker."""

    @property
    def url(self) -> str:
        """Where it is."""

    @property
    def node(self) -> RabbitNode | None:
        """The RabbitMQ node it lives on, if any."""

    @property
    def files(self) -> Path:
        """A file, with others of its name beside it, or a folder."""

    def queues(self) -> dict[str, int]:
        """Messages in every queue: ready, held by a consumer, delayed."""


@dataclass(frozen=True, slots=True)
class OnRabbit:
    """A virtual host of a node."""

    node: RabbitNode
    vhost: str

    @property
    def url(self) -> str:
        """As guest."""
        return self.node.url(self.vhost)

    @property
    def files(self) -> Path:
        """The node's folder."""
        return self.node.home

    def queues(self) -> dict[str, int]:
        """Exact at this moment, the delay queues included."""
        return queued_at(self.url)


@dataclass(frozen=True, slots=True)
class InAFile:
    """The embedded broker."""

    files: Path
    node: None = None

    @property
    def url(self) -> str:
        """The file's."""
        return f"embedded:///{self.files}"

    def queues(self) -> dict[str, int]:
        """Ready, leased and delayed."""
        with broker.connect(self.url) as connection:
            connection.connect()
            counts = queue_counts(connection).items()
            return {name: total for name, n in counts if (total := n.ready + n.unacked + n.delayed)}


@contextmanager
def open_broker(kind: str, row: Row, home: Path) -> Iterator[Broker]:
    """An empty broker for *row*: a file in *home*, a node of its own, or a virtual host of the shared node."""
    if kind == EMBEDDED:
        yield InAFile((home / DISK if row.small_disk == "broker" else home) / "broker.sqlite3")
    elif row.private:
        with private_node() as node:
            try:
                yield OnRabbit(node, "/")
            finally:
                (home / "rabbitmq.log").write_text(node.log)
    else:
        node = shared(RabbitNode, "rabbitmq")
        vhost = node.new_vhost()
        yield OnRabbit(node, vhost)
        node.delete_vhost(vhost)
