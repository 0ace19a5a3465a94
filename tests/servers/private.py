"""RabbitMQ nodes that tests may harm: each belongs to one test."""

from collections.abc import Iterator
from contextlib import contextmanager

from servers.rabbitmq import RabbitNode
from servers.shared import own_folder


@contextmanager
def private_node() -> Iterator[RabbitNode]:
    """Start a node to stop, kill, freeze and starve; it is ready in about 5 s.

    None is used again: RabbitMQ 3.10 answers INTERNAL_ERROR where several processes declare quorum queues whose
    namesakes it has just deleted.
    """
    node = RabbitNode(own_folder("private"))
    try:
        node.start()
        yield node
    finally:
        node.close()
