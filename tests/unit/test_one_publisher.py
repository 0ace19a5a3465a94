"""There is one way to publish: confirmed, mandatory, bounded in time. This reads the sources for any other."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Ways of kombu's, Celery's and py-amqp's; all but the first answer "ok" for a message that nobody keeps.
WAYS = frozenset(
    {
        "basic_publish",
        "basic_publish_confirm",
        "prepare_message",
        "send_method",
        "Producer",
        "SimpleQueue",
        "apply_async",
        "delay",
        "send_task",
        "signature",
        "retry",
        "send_task_message",
    }
)
PUBLISHERS = {"worker/broker/publication.py", "worker/broker/publisher.py"}
# The doctor learns of a right by a message that no broker takes: its expiration is impossible.
PROBES = {("worker/broker/inspection.py", "basic_publish")}
SETTLEMENTS = frozenset({"Basic.Nack"})  # which leave by `send_method` too


def ways(source: str) -> Iterator[str]:
    """Each use of one of the WAYS, as a call or as something imported from kombu or Celery."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Attribute(attr="send_method"), args=[sent, *_]) if ast.unparse(sent) in SETTLEMENTS:
                pass
            case ast.Call(func=ast.Attribute(value=value, attr=name)) if name in WAYS and not _is_ours(value, name):
                yield name
            case ast.ImportFrom(module=str(module), names=names) if module.split(".")[0] in ("kombu", "celery"):
                yield from (each.name for each in names if each.name in WAYS)


def _is_ours(value: ast.expr, name: str) -> bool:
    """`runtime.retry` and `queue.SimpleQueue` are namesakes."""
    return (name, ast.unparse(value)) in {("retry", "runtime"), ("SimpleQueue", "queue")}


@pytest.mark.parametrize("folder", ["tasks", "worker"])
def test_nothing_else_publishes(folder: str) -> None:
    """Whoever needs to, asks a publisher: all of them share one form of every message."""
    found = {
        (str(file.relative_to(ROOT)), way)
        for file in (ROOT / folder).rglob("*.py")
        for way in ways(file.read_text())
        if str(file.relative_to(ROOT)) not in PUBLISHERS
    }
    assert found <= PROBES


@pytest.mark.parametrize(
    "source",
    [
        "task.apply_async((1,))",
        "self.retry(countdown=1)",
        "app.send_task('x')",
        "channel.basic_publish(m)",
        "from kombu import Producer",
        "from celery import signature",
        "kombu.Producer(channel).publish(1)",
        "connection.SimpleQueue('x')",
    ],
)
def test_another_way_would_be_found(source: str) -> None:
    """The reader of sources sees what it is there to see."""
    assert list(ways(source))
