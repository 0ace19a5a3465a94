"""What a producer is given: its signing key, the public sealing keys, and on RabbitMQ a user of its own."""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from tasks.sealing import SealingKey, public_jwks
from worker.intake.signing import SigningKey, generate_signing_key
from worker.operations.setup import rabbitmq
from worker.operations.setup.layout import Layout
from worker.operations.setup.writing import PUBLIC, PlannedFile


def new_kid(name: str) -> str:
    """A name for a key that is made now."""
    return f"{name}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"


def key_content(key: SealingKey | SigningKey) -> bytes:
    """The private *key* as its file holds it."""
    return json_content(dict(key.as_dict(private=True)))


def json_content(document: Mapping[str, Any]) -> bytes:
    """*document* as a file holds it."""
    return f"{json.dumps(document, indent=2)}\n".encode()


def files_of(layout: Layout, source: str, sealing_keys: Iterable[SealingKey]) -> Iterator[PlannedFile]:
    """The keys by which *source* is known, and those that it seals with."""
    key, folder = generate_signing_key(new_kid(source)), layout.producer_of(source)
    public = json_content({"keys": [key.as_dict(private=False)]})
    yield PlannedFile(layout.jwks_of(source), f"how events of {source} are known", public, PUBLIC)
    yield PlannedFile(folder / "signing.jwk", f"for its producer: what {source} signs with", key_content(key))
    sealing = json_content(public_jwks(sealing_keys))
    yield PlannedFile(folder / "sealing.jwks.json", "for its producer: what tokens are sealed with", sealing, PUBLIC)


def broker_files_of(layout: Layout, source: str, place: str, types: Iterable[str]) -> Iterator[PlannedFile]:
    """The RabbitMQ user of *source*, who may publish events of *types* to the broker at *place*, and how it gets in."""
    user, password = rabbitmq.user_of(place, source), rabbitmq.new_passwords([source])[source]
    url = rabbitmq.url_of(place, source, password).encode()
    yield PlannedFile(layout.producer_of(source) / "broker_url", f"for its producer: the broker, as {user}", url)
    definitions = rabbitmq.definitions_of_producer(place, source, password, types)
    yield PlannedFile(layout.definitions_of(source), f"for RabbitMQ: the user {user}", definitions)
