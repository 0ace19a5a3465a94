"""Our worker as a row: on either broker, the call stage alone or with the intake before it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

from kombu import Connection
from servers import Daemon
from servers.embedded import queue_counts

from benchmarks.contestants import Contestant
from benchmarks.installation import Installation
from benchmarks.stage import Stage
from worker import broker
from worker.broker import topology
from worker.broker.publication import Message

IN_FLIGHT: Final = 500
EXPECTED: Final = 3400

Work = Literal["calls", "sealed calls", "events"]
Kind = Literal["rabbitmq", "embedded"]


@dataclass(frozen=True, slots=True)
class Setup:
    """Which of our rows."""

    broker: Kind = "rabbitmq"
    work: Work = "calls"
    in_flight: int = IN_FLIGHT
    providers: int = 1
    log_level: str = "WARNING"
    workers: int = 1  # processes
    note: str = ""  # what tells this row from its siblings, where the work alone does not

    @property
    def name(self) -> str:
        """What the row is called."""
        stage = "both stages" if self.work == "events" else self.work
        return f"ours, {self.note or stage}"


class OurRow(Contestant):
    """Our processes on a virtual host, or in a file, of their own."""

    def __init__(self, setup: Setup, stage: Stage, ledger_url: str | None = None) -> None:
        """*ledger_url*: another ledger than a file of its own."""
        self._setup, self._stage = setup, stage
        self.name, self.broker = setup.name, setup.broker
        self.expected = EXPECTED // (2 if setup.work == "events" else 1)
        self.configuration = self._describe()
        self._home = stage.home / f"ours-{uuid.uuid4().hex[:8]}"
        self._vhost = stage.rabbitmq.new_vhost() if setup.broker == "rabbitmq" else ""
        self._ledger_url = ledger_url or f"sqlite:///{self._home}/ledger.sqlite3"
        self.broker_url = stage.rabbitmq.url(self._vhost) if self._vhost else f"embedded:///{self._home}/broker.sqlite3"

    @cached_property
    def installation(self) -> Installation:
        """Its settings and its messages."""
        setup = self._setup
        return Installation(
            home=self._home,
            broker_url=self.broker_url,
            base_url=self._stage.provider.base_url,
            ledger_url=self._ledger_url,
            concurrency=setup.in_flight,
            providers=setup.providers,
            log_level=setup.log_level,
        )

    def prepare(self) -> None:
        """Make keys, exchanges and queues."""
        self.installation.make()
        with broker.connect(self.broker_url) as connection:
            topology.declare(connection, self.installation.names)

    def messages(self, count: int) -> list[Message]:
        """Tasks, or the events that become them."""
        match self._setup.work:
            case "calls":
                return self.installation.calls(count)
            case "sealed calls":
                return self.installation.sealed_calls(count)
            case "events":
                return self.installation.disabled_events(count)

    def start(self) -> list[Daemon]:
        """Start the worker, and the intake where the row has it."""
        intake = ["intake"] if self._setup.work == "events" else []
        return self.start_processes(*intake, *["worker"] * self._setup.workers)

    def start_processes(self, *names: str) -> list[Daemon]:
        """Start some of our processes."""
        env = self.installation.env
        return [self._stage.processes.start("revoker", name, env=env, name=name) for name in names]

    def waiting(self) -> int:
        """Events and tasks that are queued or under way."""
        counts = self.counts()
        return sum(n for name, n in counts.items() if name.startswith(("revocation.intake", "revocation.calls")))

    def counts(self) -> dict[str, int]:
        """Messages in every queue."""
        if self._vhost:
            return {name: each.total for name, each in self._stage.rabbitmq.queue_counts(self._vhost).items()}
        with broker.connect(self.broker_url) as connection:
            connection.connect()
            return {name: each.ready + each.unacked for name, each in queue_counts(connection).items()}

    def tidy(self) -> None:
        """Empty the outcome queue, which nobody reads here: it would grow from round to round."""
        with broker.connect(self.broker_url) as connection:
            self._purge(connection)

    def close(self) -> None:
        """Delete its virtual host; the file goes with the folder of the run."""
        if self._vhost:
            self._stage.rabbitmq.delete_vhost(self._vhost)

    def _purge(self, connection: Connection) -> None:
        queues = topology.all_queues(self.installation.names)
        with connection.channel() as channel:
            for queue in queues:
                queue(channel).purge()

    def _describe(self) -> str:
        setup = self._setup
        queues = "quorum queues" if setup.broker == "rabbitmq" else "full sync"
        workers = "worker" if setup.workers == 1 else f"{setup.workers} workers"
        processes = f"intake + {workers}" if setup.work == "events" else workers
        return f"{processes}, in flight {setup.in_flight}, log {setup.log_level}, {queues}, confirmed outcome records"
