"""The broker: connections, topology, messages, publishers and the consuming loop, over RabbitMQ or the embedded one."""

from worker.broker.connection import connect as connect
from worker.broker.connection import connector as connector
from worker.broker.connection import cut as cut
from worker.broker.connection import give_back as give_back
from worker.broker.connection import is_embedded as is_embedded
from worker.broker.connection import let_acks_arrive as let_acks_arrive
from worker.broker.connection import user as user
from worker.broker.connection import vhost as vhost
