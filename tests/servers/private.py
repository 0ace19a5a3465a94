"""RabbitMQ nodes that tests may harm: each belongs to one test at a time, and is empty at the beginning of each."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from servers.rabbitmq import RabbitNode
from servers.shared import own_folder

_idle: Final[list[RabbitNode]] = []  # of this process


@contextmanager
def private_node() -> Iterator[RabbitNode]:
    """Lend a running node to stop, kill, freeze and starve.

    Emptied, it serves the next test as well: that takes 0.3 s, a boot 5 s, of which 4 are CPU.
    """
    node = _idle.pop() if _idle else RabbitNode(own_folder("private"))
    try:
        if not node.running:
            node.start()
        yield node
    except BaseException:
        node.close()  # nobody knows its state
        raise
    try:
        node.empty()
    except (AssertionError, OSError):  # it was stopped, or has a queue that lost its leader
        node.close()
    else:
        _idle.append(node)
