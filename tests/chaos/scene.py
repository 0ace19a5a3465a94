"""A scenario while it runs: an installation under load, its processes by name, the lines between its parts."""

import contextlib
import json
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from canary_search import Kind, Marker
from servers import Daemon, PostgresCluster, RabbitNode, wait_until
from system import PROCESSES, SOURCE, System

from chaos.brokers import Broker
from chaos.lines import Lines
from chaos.load import Load, Unit
from chaos.oracle import OPERATIONS, Evidence
from chaos.rows import Row
from worker.broker import connect, messages, topology
from worker.broker.publication import BROKER_ERRORS, Message, Unconfirmed
from worker.broker.publisher import Publisher
from worker.ledger import CallRow, DeadLetterFilter, DeadLetterState
from worker.operations.standings import Verdict, standings_of, verdict_on

AT_ONCE: Final = 20  # events in a batch of confirms: with a fault under way, so many share one fate
PAUSE: Final = 0.1  # seconds between two looks, or two tries
AFTER_THAW: Final = 3.0  # seconds: to a process that stood still its calls timed out, and it asks for them again


class Scene:
    """What a scenario is told about, and acts on. Whatever it starts ends with it."""

    postgres: PostgresCluster  # the ledger's server, where the row has one of its own

    def __init__(self, row: Row, system: System, broker: Broker, lines: Lines, load: Load) -> None:
        self.row, self.system, self.broker, self.lines, self.load = row, system, broker, lines, load
        self.chance = load.chance
        self.confirmed: dict[str, float] = {}  # event id → when the broker took it
        self.unknown: set[str] = set()  # ever; most are confirmed later
        self.refused: set[str] = set()  # ever, likewise: by a full queue, or as unroutable
        self.longest_try = 0.0  # seconds that one batch took to be confirmed or to fail
        self.strangers = 0
        self.aside: set[str] = set()  # ids of events of the row's own, which it judges itself
        self.aside_keys: set[str] = set()  # and what they end, as the journal calls it
        self.broken_at: float | None = None
        self.healed_at: float | None = None
        self.remark = ""  # figures of this run, for the table
        self.running: dict[str, list[Daemon]] = {}
        self.variables: Mapping[str, Mapping[str, str]] = {}  # of each process by name, beside what all of them have
        self._unsent = list(load.events)

    @property
    def node(self) -> RabbitNode:
        """The RabbitMQ node, of the row's own where it asked for one."""
        assert self.broker.node is not None, "the embedded broker has no node"
        return self.broker.node

    # -- processes --------------------------------------------------------------------------------

    def start(self, *names: str, env: Mapping[str, str] | None = None, prefix: Sequence[str] = ()) -> list[Daemon]:
        """Start the named processes, all three by default, each over its own lines; *prefix*: a command before it."""
        started = []
        for name in names or PROCESSES:
            variables = {**self.system.env, **self.lines.env(name), **self.variables.get(name, {}), **(env or {})}
            daemon = self.system.processes.start(*prefix, "revoker", name, env=variables, name=name)
            self.running.setdefault(name, []).append(daemon)
            started.append(daemon)
        return started

    def __getitem__(self, name: str) -> Daemon:
        """The process *name* that was started last and was not ended."""
        return self.running[name][-1]

    def all_running(self) -> list[Daemon]:
        """Every process that was started and was not ended by the scenario."""
        return [process for several in self.running.values() for process in several]

    def kill9(self, name: str) -> None:
        """Kill the oldest process of that name."""
        self.running[name].pop(0).kill9()

    def stop(self, name: str, timeout: float = 25.0) -> int:
        """SIGTERM the oldest process of that name; returns its exit code."""
        return self.running[name].pop(0).stop(timeout=timeout)

    # -- publishing -------------------------------------------------------------------------------

    def publish(self, count: int | None = None, pause: float = 0.0) -> None:
        """Publish the next *count* events, all that are left by default, and again until the broker confirms them.

        *pause* is in seconds, after each batch.
        """
        left = len(self._unsent) - (len(self._unsent) if count is None else count)
        until = time.monotonic() + self.row.patience
        with Publisher(lambda: connect(self._publisher_url)) as publisher:
            while len(self._unsent) > left and time.monotonic() < until:
                if not self._publish_some(publisher, min(AT_ONCE, len(self._unsent) - left)):
                    self.declare()
                    time.sleep(PAUSE)
                time.sleep(pause)

    @contextlib.contextmanager
    def publishing(self, over: float = 0.0) -> Iterator[None]:
        """Publish everything meanwhile, in *over* seconds at least; leaving waits until all of it is confirmed."""
        pause = over * AT_ONCE / len(self.load.events)
        thread = threading.Thread(target=self.publish, kwargs={"pause": pause}, name="publishing", daemon=True)
        thread.start()
        yield
        thread.join(self.row.patience)

    def publish_strange(self, outgoing: Sequence[Message]) -> None:
        """Publish messages that are no events of the load; each, with a body of its own, must be a dead letter."""
        self.strangers += len(outgoing)
        self.system.publish_all(outgoing)

    def _publish_some(self, publisher: Publisher, count: int) -> int:
        """Publish *count* events once; what is not confirmed goes to the end of the line. How many were confirmed."""
        some, self._unsent = self._unsent[:count], self._unsent[count:]
        for each in some:
            each.setdefault("time", datetime.now(UTC).isoformat())  # some rows have them happen when they are published
        began = time.monotonic()
        results = self._delivered(publisher, some)
        self.longest_try = max(self.longest_try, time.monotonic() - began)
        for event, failure in zip(some, results, strict=True):
            if failure is None:
                self.confirmed[event["id"]] = time.time()
                continue
            self._unsent.append(event)
            (self.unknown if isinstance(failure, Unconfirmed) else self.refused).add(event["id"])
        return results.count(None)

    def _delivered(self, publisher: Publisher, some: Sequence[dict[str, Any]]) -> Sequence[Exception | None]:
        if self.row.deliver:
            return self.row.deliver(self, some)
        return publisher.publish([messages.event(json.dumps(each).encode(), each["type"]) for each in some])

    def declare(self) -> None:
        """A producer may be there before the first consumer has declared what it publishes to."""
        with contextlib.suppress(*BROKER_ERRORS), connect(self._publisher_url) as connection:
            topology.declare(connection, self.system.providers)

    @property
    def _publisher_url(self) -> str:
        return self.lines.env("publisher").get("REVOKER_BROKER_URL", self.system.broker_url)

    # -- looking ----------------------------------------------------------------------------------

    def journal(self) -> list[dict[str, Any]]:
        """Every request the providers saw so far, in order."""
        return self.system.journal()

    def revoked(self) -> int:
        """How many tokens and users are dead."""
        return len({entry["key"] for entry in self.journal() if entry["revoked"]})

    def wait_revoked(self, share: float) -> None:
        """Wait until that share of the load's tokens is dead."""
        wanted = int(share * len(self.load.units))
        wait_until(lambda: self.revoked() >= wanted, self.row.patience, f"{wanted} tokens to be dead")

    def wait_asked(self, unit: Unit, times: int) -> None:
        """Wait until the provider was asked so often to revoke *unit*."""
        wait_until(lambda: self.calls_of([unit])[unit.key] >= times, 90, f"call number {times} for {unit.event_id}")

    def wait_quiet(self, seconds: float = 0.5) -> None:
        """Wait until no provider was asked anything for so long: what can be answered has been."""
        wait_until(lambda: time.time() - max(map(when, self.journal()), default=0) > seconds, 60, "quiet")

    def stand_still(self, seconds: float) -> None:
        """Let a fault last; every process must live through it."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            assert all(process.running for process in self.all_running()), "a process ended"
            time.sleep(PAUSE)

    def calls_of(self, units: Collection[Unit]) -> Counter[str]:
        """How often a provider was asked to revoke each of *units*, by key."""
        keys = {unit.key for unit in units}
        asked = (entry["key"] for entry in self.journal() if entry["operation"] in OPERATIONS)
        return Counter(key for key in asked if key in keys)

    def queues(self) -> dict[str, int]:
        """Messages in each queue: ready, held by a consumer, delayed. On RabbitMQ exact, whatever queue it is."""
        return self.broker.queues()

    # -- the end ----------------------------------------------------------------------------------

    def broken(self) -> None:
        """The fault begins."""
        self.broken_at = time.time()

    def healed(self) -> None:
        """The fault is over: recovery counts from here."""
        self.healed_at = time.time()

    def drain(self) -> None:
        """Publish what is left, and wait until all is closed and every queue is empty; the oracle says if it is not."""
        if self.healed_at is None:
            self.healed()
        self.publish()
        until = time.monotonic() + self.row.patience
        open_events = set(self.confirmed)
        while time.monotonic() < until:
            if not any(self.queues().values()) and not self._strangers_missing():
                open_events -= self.system.ledger.settled_or_dead(SOURCE, open_events)
                if not open_events:
                    return
            time.sleep(PAUSE)

    def _strangers_missing(self) -> bool:
        every = DeadLetterFilter(states=tuple(DeadLetterState))
        return bool(self.strangers) and len(self.system.ledger.dead_letters(every)) < self.strangers

    # -- for the oracle ---------------------------------------------------------------------------

    def evidence(self) -> Evidence:
        """What everybody says now."""
        return Evidence(
            units=self.load.units,
            confirmed=frozenset(self.confirmed),
            unknown=frozenset(self.unknown),
            journal=[entry for entry in self.journal() if entry["key"] not in self.aside_keys],
            ledger=self._ledger(),
            queues=self.queues(),
            told_out=frozenset(filter(self._is_told_out, self.confirmed)),
            gone=frozenset((name, key) for name, keys in self.system.dead().items() for key in keys),
            strangers=self.strangers,
        )

    def _is_told_out(self, event_id: str) -> bool:
        ledger = self.system.ledger
        rows = ledger.calls_of_event(event_id, SOURCE)
        verdict, _ = verdict_on(standings_of(ledger, rows))
        return verdict is Verdict.OUT

    def _ledger(self) -> list[CallRow]:
        rows, cursor = list[CallRow](), 0
        while True:
            news, cursor = self.system.ledger.changes_since(cursor)
            if not news:
                return rows
            rows += [row for row in news if isinstance(row, CallRow) and row.event_id not in self.aside]

    @property
    def unknown_units(self) -> int:
        """How many units were published again because the publisher could not know: each may be called twice."""
        return sum(unit.event_id in self.unknown for unit in self.load.units)

    def markers(self) -> list[Marker]:
        """What must not be found anywhere: every token of the load, and the installation's own secrets."""
        secrets = {"a token": self.load.marker, **self.system.secrets()}
        return [Marker(name, value, Kind.SECRET) for name, value in secrets.items()]

    def recoveries(self) -> list[float]:
        """Seconds from the heal, or from the publish where that came later, to each call that was made after it."""
        event_of = {unit.key: unit.event_id for unit in self.load.units}
        since = {key: max(self.healed_at or 0.0, self.confirmed.get(event, 0.0)) for key, event in event_of.items()}
        of_load = (entry for entry in self.journal() if entry["revoked"] and entry["key"] in since)
        calls = [(entry["key"], when(entry)) for entry in of_load]
        return [max(0.0, at - since[key]) for key, at in calls if at > (self.healed_at or 0.0)]

    def first_call_after_heal(self) -> float | None:
        """Seconds until the first revocation after the heal; None where none was left to be made."""
        calls = [when(entry) for entry in self.journal() if entry["revoked"]]
        after = [at - self.healed_at for at in calls if self.healed_at is not None and at > self.healed_at]
        return min(after, default=None)


def wait_said(process: Daemon, text: str) -> None:
    """Wait until *process* has written *text*."""
    wait_until(lambda: text in process.output, 30, f"{process.name} to say {text.strip()}")


def when(entry: Mapping[str, Any]) -> float:
    """When a request arrived, in seconds since the epoch."""
    return datetime.fromisoformat(entry["at"]).timestamp()
