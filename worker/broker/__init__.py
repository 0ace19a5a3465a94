"""The broker: connections, topology, messages, publishers and the consuming loop, over RabbitMQ or the embedded one."""

from worker.broker.connection import (
    CONNECT_TIMEOUT,
    HEARTBEAT,
    connect,
    connector,
    cut,
    encryption,
    is_embedded,
    let_acks_arrive,
    prepare,
    socket_timeouts,
    user,
)

__all__ = [
    "CONNECT_TIMEOUT",
    "HEARTBEAT",
    "connect",
    "connector",
    "cut",
    "encryption",
    "is_embedded",
    "let_acks_arrive",
    "prepare",
    "socket_timeouts",
    "user",
]
