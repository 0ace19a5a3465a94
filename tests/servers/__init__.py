"""The real parts the tests run against: RabbitMQ, PostgreSQL and the project's own processes, all on loopback."""

from servers.daemon import Daemon, ServerMissingError
from servers.forking import ForkServer
from servers.loopback import NetworkIsOffError, only_loopback
from servers.pgbouncer import PgBouncer
from servers.ports import free_port
from servers.postgres import PostgresCluster
from servers.processes import Processes
from servers.rabbitmq import QueueCount, RabbitNode, queued_at
from servers.waiting import eventually, wait_until

__all__ = [
    "Daemon",
    "ForkServer",
    "NetworkIsOffError",
    "PgBouncer",
    "PostgresCluster",
    "Processes",
    "QueueCount",
    "RabbitNode",
    "ServerMissingError",
    "eventually",
    "free_port",
    "only_loopback",
    "queued_at",
    "wait_until",
]
