"""The two brokers as the bench sees them: where they are, what is in them, and the files they keep."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from servers import RabbitNode, queued_at
from servers.embedded import queue_counts
from servers.private import private_nodes
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
    """A virtual host of a node, or of several that join each other."""

    node: RabbitNode
    vhost: str
    others: Sequence[RabbitNode] = ()

    @property
    def url(self) -> str:
        """As guest."""
        return self.url_from(0)

    def url_from(self, first: int) -> str:
        """That of every node, beginning with number *first*: a client goes to the next where one is away."""
        urls = [node.url(self.vhost) for node in (self.node, *self.others)]
        return ";".join(urls[(first + number) % len(urls)] for number in range(len(urls)))

    @property
    def files(self) -> Path:
        """The node's folder."""
        return self.node.home

    def queues(self) -> dict[str, int]:
        """Exact at this moment, the delay queues included."""
        living = next(node for node in (self.node, *self.others) if node.running)
        return queued_at(living.url(self.vhost))


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
        with private_nodes(row.nodes) as (node, *others):
            try:
                yield OnRabbit(node, "/", others)
            finally:
                (home / "rabbitmq.log").write_text("".join(each.log for each in (node, *others)))
    else:
        node = shared(RabbitNode, "rabbitmq")
        vhost = node.new_vhost()
        yield OnRabbit(node, vhost)
        node.delete_vhost(vhost)
