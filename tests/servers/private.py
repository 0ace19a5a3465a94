"""RabbitMQ nodes that tests may harm: each belongs to one test."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from servers.rabbitmq import RabbitNode
from servers.shared import own_folder


@contextmanager
def private_node(beside: RabbitNode | None = None) -> Iterator[RabbitNode]:
    """Start a node to stop, kill, freeze and starve; it is ready in about 5 s, and may join the one *beside* it.

    None is used again: RabbitMQ 3.10 answers INTERNAL_ERROR where several processes declare quorum queues whose
    namesakes it has just deleted.
    """
    node = RabbitNode(own_folder("private"), beside)
    try:
        node.start()
        yield node
    finally:
        node.close()


@contextmanager
def private_nodes(count: int) -> Iterator[list[RabbitNode]]:
    """Start *count* nodes that can join each other, and have not."""
    with ExitStack() as stack:
        first = stack.enter_context(private_node())
        yield [first, *(stack.enter_context(private_node(first)) for _ in range(count - 1))]
