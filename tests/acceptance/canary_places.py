"""Where a secret could have gone: logs, messages, broker files, ledger, command line, error reports, argv, metrics."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy
from canary_search import Kind, Place, files, leaks
from canary_story import FAULTS, CanaryStory
from celery.events.event import event_exchange
from kombu import Exchange, Queue
from kombu.transport.native_delayed_delivery import CELERY_DELAYED_DELIVERY_EXCHANGE
from servers import Processes
from system import digest

from worker import broker
from worker.broker import topology

COPIES = Queue("canary.copies", durable=True)
NAMELESS = {topology.OUTCOMES.name, event_exchange.name}
NAMES = frozenset({Kind.NAME})
ALL_BUT_SECRETS = frozenset({Kind.NAME, Kind.SPILLED})
PAGES = ("/metrics", "/livez", "/readyz", "/startupz")


def bind_copies(story: CanaryStory) -> None:
    """Have the broker keep a copy of every message that goes through any exchange of ours."""
    exchanges = [
        topology.EVENTS,
        topology.CALLS,
        topology.OUTCOMES,
        topology.OUTCOMES_URGENT,
        topology.DEAD,
        topology.UNPROVED,
    ]
    if not broker.is_embedded(story.system.broker_url):
        exchanges += [Exchange(CELERY_DELAYED_DELIVERY_EXCHANGE, type="topic"), event_exchange]
    with broker.connect(story.system.broker_url) as connection:
        topology.declare(connection, story.system.providers)
        queue = COPIES(connection.channel())
        queue.declare()
        for exchange in exchanges:
            exchange(queue.channel).declare()
            queue.bind_to(exchange.name, "#")


def everywhere(story: CanaryStory, said: Path, broker_files: Path, commands: Processes) -> list[Place]:
    """Every place there is: *said* holds what processes wrote, *broker_files* what the broker keeps on disk.

    *commands* runs those of operators.
    """
    argv = list(_processes(said))
    return [
        *argv,
        *(Place(f"log {file.name}", file.read_bytes()) for file in sorted(said.glob("*.log"))),
        *_copies(story),
        *_files("broker file", broker_files, ALL_BUT_SECRETS),
        *_ledger(story),
        *(Place(f"inspect {name}", _bytes(answer), NAMES) for name, answer in story.inspected.items()),
        *_command_line(story, commands),
        *(Place(f"page {name}{path}", _shown(story, name, path)) for name in story.system.ports for path in PAGES),
        *(Place(f"error report {n}", envelope) for n, envelope in enumerate(story.inbox.envelopes)),
        *(Place(f"traces {n}", spans) for n, spans in enumerate(story.collector.bodies)),
    ]


def never_arrived(story: CanaryStory) -> set[str]:
    """The markers that could not have leaked: no provider saw the token, no file of settings holds the secret."""
    seen = {entry["key"] for entry in story.system.journal()}
    kept = [file for file in story.system.home.glob("*/*") if file.is_file()]
    settings = [Place(file.name, file.read_bytes()) for file in (story.system.home / "revoker.toml", *kept)]
    found = {line.partition(": ")[2].partition(",")[0] for line in leaks(settings, story.markers)}
    tokens = {marker.name for marker in story.markers if digest(marker.value) in seen}
    return (_SEEN_BY_PROVIDERS - tokens) | (_SECRETS_OF_OURS - found)


_SEEN_BY_PROVIDERS = {"spent token", "good genesys", "good wibmo", "through the door", *(name for name, *_ in FAULTS)}
_SECRETS_OF_OURS = {
    *("client secret", "wrong client secret", "api key", "cipher key", "subject key", "private sealing key")
}


def _processes(said: Path) -> Iterator[Place]:
    """What everybody on the machine sees of a process, and what its owner does."""
    for file in sorted(said.glob("*.pid")):
        for what in ("cmdline", "environ"):
            found = Path("/proc", file.read_text().split()[0], what)
            if found.exists():
                yield Place(f"{what} {file.name}", found.read_bytes())


def _copies(story: CanaryStory) -> Iterator[Place]:
    """Bodies and headers. Names stand in events, calls and dead letters; what a stranger published is its own."""
    with broker.connect(story.system.broker_url) as connection:
        queue = COPIES(connection.channel())
        while (message := queue.get(no_ack=True)) is not None:
            exchange = message.delivery_info["exchange"]
            where = f"{exchange} {message.delivery_info['routing_key']}"
            foreign = message.properties.get("message_id") in story.strangers
            bodies = frozenset() if exchange in NAMELESS else ALL_BUT_SECRETS if foreign else NAMES
            yield Place(f"body of {where}", _bytes(message.body), bodies)
            yield Place(f"headers of {where}", _bytes([message.headers, message.properties, message.delivery_info]))


def _files(what: str, root: Path, may_hold: frozenset[Kind]) -> Iterator[Place]:
    for place in files(root):
        yield Place(f"{what} {place.name}", place.content, may_hold)


def _ledger(story: CanaryStory) -> Iterator[Place]:
    """Every value of every column; the documents of dead letters hold the names that a replay needs."""
    engine = sqlalchemy.create_engine(story.system.document["ledger_url"])
    with engine.connect() as connection:
        for table in sqlalchemy.inspect(engine).get_table_names():
            for row in connection.execute(sqlalchemy.text(f"SELECT * FROM {table}")).mappings():  # noqa: S608 - ours
                for column, value in row.items():
                    may_hold = NAMES if (table, column) == ("dead_letters", "document") else frozenset()
                    yield Place(f"ledger {table}.{column}", _bytes(value), may_hold)
    engine.dispose()
    yield from _files("ledger file", story.system.home / "ledger.sqlite3", NAMES)


def _command_line(story: CanaryStory, commands: Processes) -> Iterator[Place]:
    """What operators see. A plan prints the exact calls, and the user's id is a part of one."""
    event, disabled = story.events
    for name, document in (("ended", event), ("disabled", disabled)):
        (story.system.home / f"{name}.json").write_text(json.dumps(document))
    letters = {letter.reason: letter.dead_letter_id for letter in story.system.ledger.dead_letters()}
    address = disabled["data"]["sub_id"]["email"]
    for arguments in (
        *(("explain", subject, *form) for subject in (event["id"], address) for form in ((), ("-o", "json"))),
        *(("dlq", "list", "-o", form) for form in ("table", "wide", "json")),
        *(("dlq", "show", letter, "-o", "json") for letter in letters.values()),
        ("dlq", "replay", "--all", "--dry-run"),
        *((*command, "-o", form) for command in _LISTS for form in ("table", "json")),
    ):
        yield _said(story, commands, *arguments)
    for name in ("ended", "disabled"):
        plan = _said(story, commands, "plan", str(story.system.home / f"{name}.json"), "-o", "json")
        yield Place(plan.name, plan.content, NAMES)


_LISTS = (("config", "show"), ("provider", "list"), ("provider", "check"), ("keys", "list"))


def _shown(story: CanaryStory, name: str, path: str) -> bytes:
    """What everybody sees who reaches the machine, where it is told to listen to them."""
    status, text = story.system.page(name, path)
    assert status, f"{name} shows nothing"
    return text.encode()


def _said(story: CanaryStory, commands: Processes, *arguments: str) -> Place:
    done = commands.run("revoker", *arguments, env=story.system.env)
    said = done.stdout + done.stderr
    assert said, f"revoker {arguments} says nothing"
    assert "Traceback" not in said, said
    return Place(f"revoker {' '.join(arguments[:2])} → {done.returncode}", said.encode())


def _bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    return value.encode() if isinstance(value, str) else json.dumps(value, default=str).encode()
