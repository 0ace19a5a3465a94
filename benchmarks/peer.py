"""The engines beside ours, each at its best, on RabbitMQ: durable classic queue, persistent messages, late acks."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from servers import Daemon, wait_until

from benchmarks import wires
from benchmarks.contestants import Contestant, running
from benchmarks.installation import Installation
from benchmarks.stage import PEERS, PEERS_BIN, Stage
from worker import broker
from worker.broker.publication import Message

IN_FLIGHT: Final = 500
PREFETCH: Final = 1000


@dataclass(frozen=True, slots=True)
class Peer:
    """How one engine is run."""

    name: str
    command: tuple[str, ...]
    wire: wires.Wire
    expected: int
    configuration: str
    in_flight: int = IN_FLIGHT
    prefetch: int = PREFETCH
    env: Mapping[str, str] = field(default_factory=dict)


def _celery(pool: str, count: int, expected: int, *options: str) -> Peer:
    quiet = ("--without-gossip", "--without-mingle", *options)
    command = ("python", "-m", "celery", "-A", "with_celery", "worker", "--loglevel", "WARNING", *quiet)
    multiplier = max(1, PREFETCH // count)
    how = f"-P {pool} -c {count} {' '.join(quiet)}, prefetch multiplier {multiplier}, task_acks_late, requests"
    name = f"Celery {pool} {count}"
    return Peer(name, (*command, "-P", pool, "-c", str(count)), wires.celery, expected, how, count, PREFETCH,
                {"BENCH_POOL": pool})  # fmt: skip


def _dramatiq(style: str, threads: int, expected: int) -> Peer:
    command = ("dramatiq", "with_dramatiq", "--processes", "1", "--threads", str(threads))
    env = {"BENCH_STYLE": style, "dramatiq_queue_prefetch": str(PREFETCH)}
    client = "aiohttp (lean session)" if style == "asyncio" else "requests"
    how = f"--processes 1 --threads {threads}, prefetch {PREFETCH}, AsyncIO middleware only, {client}"
    return Peer(f"dramatiq {style}", command, wires.dramatiq, expected, how, threads, PREFETCH, env)


def _floor(style: str, expected: int) -> Peer:
    session = "default session" if style == "plain" else "lean session, gc.freeze"
    how = f"bare aio-pika + aiohttp, {session}{', uvloop' if style == 'uvloop' else ''}, prefetch {IN_FLIGHT}"
    return Peer(f"floor, {style}", ("python", "floor.py"), wires.plain, expected, how,
                IN_FLIGHT, IN_FLIGHT, {"BENCH_STYLE": style})  # fmt: skip


_TASKIQ = ("--workers", "1", "--max-async-tasks", str(IN_FLIGHT), "--max-prefetch", str(IN_FLIGHT),
           "--ack-type", "when_executed", "--log-level", "WARNING")  # fmt: skip
_LEAN = "aiohttp (lean session)"

_PLAIN: Final = (
    _celery("prefork", 16, 300),
    _celery("threads", 100, 860, "--without-heartbeat"),
    _celery("gevent", 500, 1150, "--without-heartbeat"),
    _dramatiq("threads", 100, 1000),
    _dramatiq("asyncio", 300, 1700),
    Peer(
        "taskiq",
        ("taskiq", "worker", "with_taskiq:broker", *_TASKIQ),
        wires.taskiq,
        2700,
        f"{' '.join(_TASKIQ)}, qos {PREFETCH}, {_LEAN}",
    ),
    Peer(
        "FastStream",
        ("python", "with_faststream.py"),
        wires.plain,
        2700,
        f"NACK_ON_ERROR, prefetch {IN_FLIGHT} = in flight, no log, {_LEAN}",
    ),
    Peer(
        "aio-celery",
        ("python", "-m", "aio_celery", "worker", "with_aio_celery:app", "-c", str(IN_FLIGHT), "-l", "WARNING"),
        wires.celery,
        3100,
        f"-c {IN_FLIGHT}, prefetch multiplier 2, {_LEAN}",
    ),
    _floor("plain", 4300),
    _floor("lean", 4600),
    _floor("uvloop", 5000),
)


_ASYNCHRONOUS: Final = ("dramatiq asyncio", "taskiq", "FastStream", "aio-celery", "floor, lean")
_PROMISES: Final = (
    "as the plain row; checks the call with pydantic, publishes its outcome with aio-pika (persistent, mandatory, "
    "quorum queue, pipelined confirms), then acknowledges"
)


def _promising(peer: Peer) -> Peer:
    env = {**peer.env, "BENCH_PROMISES": "1"}
    return replace(peer, name=promising(peer.name), expected=peer.expected * 2 // 5, configuration=_PROMISES, env=env)


def promising(name: str) -> str:
    """What the row of peer *name* that keeps our promises is called."""
    return f"{name}, promises"


PEER_ROWS: Final = (*_PLAIN, *(_promising(peer) for peer in _PLAIN if peer.name in _ASYNCHRONOUS))


class PeerRow(Contestant):
    """A peer on a virtual host of its own."""

    broker = "rabbitmq"

    def __init__(self, peer: Peer, stage: Stage) -> None:
        self._peer, self._stage = peer, stage
        self.name, self.configuration, self.expected = peer.name, peer.configuration, peer.expected
        self._vhost = stage.rabbitmq.new_vhost()
        self.broker_url = stage.rabbitmq.url(self._vhost)

    def prepare(self) -> None:
        """Let the worker declare its own queue, as it likes it."""
        with running(self.start()) as daemons:
            try:
                wait_until(lambda: wires.QUEUE in self._counts(), 60)
            except AssertionError as error:
                raise AssertionError(f"it declared no queue; it said: {daemons[0].tail}") from error

    def messages(self, count: int) -> list[Message]:
        """The calls that our own row is given, in this engine's wire format."""
        return [self._peer.wire(document) for document in documents(self._stage, count)]

    def start(self) -> list[Daemon]:
        """Start its worker."""
        program, *arguments = self._peer.command
        env = {
            "BENCH_BROKER": self.broker_url,
            "BENCH_PROVIDER": self._stage.provider.base_url,
            "BENCH_IN_FLIGHT": str(self._peer.in_flight),
            "BENCH_PREFETCH": str(self._peer.prefetch),
            "PYTHONPATH": str(PEERS),
            "PATH": f"{PEERS_BIN}{os.pathsep}{os.environ['PATH']}",
            **self._peer.env,
        }
        program = str(PEERS / program) if program.endswith(".py") else str(PEERS_BIN / program)
        files = [str(PEERS / each) if each.endswith(".py") else each for each in arguments]
        return [self._stage.processes.start(program, *files, env=env, name="peer")]

    def waiting(self) -> int:
        """Messages in its queue."""
        return self._counts()[wires.QUEUE]

    def tidy(self) -> None:
        """Empty the queue of outcomes, which nobody reads here."""
        if "BENCH_PROMISES" in self._peer.env:
            with broker.connect(self.broker_url) as connection, connection.channel() as channel:
                channel.queue_purge(wires.OUTCOMES)

    def close(self) -> None:
        """Delete its virtual host."""
        self._stage.rabbitmq.delete_vhost(self._vhost)

    def _counts(self) -> dict[str, int]:
        return {name: count.total for name, count in self._stage.rabbitmq.queue_counts(self._vhost).items()}


def documents(stage: Stage, count: int) -> list[Mapping[str, Any]]:
    """The calls of our own row, as the JSON documents they travel as."""
    ours = Installation(stage.home, "embedded:///unused", stage.provider.base_url, "sqlite:///unused")
    return [json.loads(message.body)[0][0] for message in ours.calls(count)]
