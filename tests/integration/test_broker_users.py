"""RabbitMQ's users as proof of a source: the broker refuses a false `user_id`, we an honest one that is not listed.

A replay is published by somebody else: what proved the event at first proves it again, and proves no other.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from replay_desk import EVERY, Desk, wait_for_message
from servers import RabbitNode, wait_until

from worker import broker
from worker.broker import messages, topology
from worker.broker.publication import Message, PublishError
from worker.broker.publisher import Publisher
from worker.intake.authorization import Authorizer
from worker.ledger import DeadLetterRow
from worker.settings.sections import SourceSettings

SOURCE = "urn:test:idp"
ADD_USER = """
rabbit_auth_backend_internal:add_user(<<"$USER">>, <<"password">>, <<"tests">>),
rabbit_auth_backend_internal:set_permissions(<<"$USER">>, <<"$VHOST">>, <<"">>, <<".*">>, <<"">>, <<"tests">>).
"""
DELETE_USER = 'rabbit_auth_backend_internal:delete_user(<<"$USER">>, <<"tests">>).'


@pytest.fixture
def users(rabbitmq: RabbitNode, rabbitmq_vhost: str) -> Iterator[dict[str, str]]:
    """Two users who may publish: name → URL."""
    names = [f"{role}-{uuid4().hex[:8]}" for role in ("idp", "mallory")]
    for name in names:
        rabbitmq.control(ADD_USER.replace("$USER", name).replace("$VHOST", rabbitmq_vhost))
    yield {name: f"amqp://{name}:password@127.0.0.1:{rabbitmq.port}/{rabbitmq_vhost}" for name in names}
    for name in names:
        rabbitmq.control(DELETE_USER.replace("$USER", name))


@pytest.fixture
def desk(tmp_path: Path, rabbitmq_url: str, users: dict[str, str]) -> Iterator[Desk]:
    """A desk that believes the first of the users, and nobody else."""
    made = Desk(tmp_path, rabbitmq_url)
    source = SourceSettings(source=SOURCE, users=frozenset([next(iter(users))]))
    made.authorizer = Authorizer({"idp": source}, proves_users=True)
    yield made
    made.close()


def disabled(user: str | None) -> Message:
    """An event with a dead letter in it when it is let in: nobody knows the provider. *user* is claimed."""
    data = {"sub_id": {"format": "opaque", "id": "ada"}, "providers": ["nobody"]}
    event = {"specversion": "1.0", "id": "e1", "source": SOURCE, "type": "user.disabled", "data": data}
    body = json.dumps(event | {"time": datetime.now(UTC).isoformat()}).encode()
    return replace(messages.event(body, "user.disabled"), user_id=user)


def ended(user: str) -> Message:
    """A session.ended with a dead letter in it, likewise."""
    sessions = [{"provider": "nobody", "credential": {"token_reference_id": "r"}}]
    event = {
        "specversion": "1.0",
        "id": "e2",
        "source": SOURCE,
        "type": "session.ended",
        "data": {"sessions": sessions},
    }
    body = json.dumps(event | {"time": datetime.now(UTC).isoformat()}).encode()
    return replace(messages.event(body, "session.ended"), user_id=user)


def publish(url: str, message: Message) -> PublishError | None:
    """What became of *message*, published by the user of *url*."""
    with Publisher(lambda: broker.connect(url)) as publisher:
        return publisher.publish([message])[0]


def taken_in(desk: Desk) -> list[DeadLetterRow]:
    """The dead letters, once everything that waits was taken in."""
    desk.take_in()
    return desk.ledger.dead_letters(EVERY)


def row(desk: Desk) -> DeadLetterRow:
    """The one dead letter."""
    [found] = taken_in(desk)
    return found


def test_the_broker_refuses_a_user_id_that_is_not_the_publishers(users: dict[str, str], desk: Desk) -> None:
    """A precondition of ours: https://www.rabbitmq.com/docs/validated-user-id."""
    idp, mallory = users
    assert isinstance(publish(users[mallory], disabled(idp)), PublishError)
    assert desk.events() == []
    assert publish(users[idp], disabled(broker.user(users[idp]))) is None
    [arrived] = desk.events()
    assert arrived.properties["user_id"] == idp


@pytest.mark.parametrize("honest", [True, False])
def test_a_user_who_is_not_listed_is_refused_replayed_or_not(
    users: dict[str, str],
    desk: Desk,
    honest: bool,  # noqa: FBT001 - a table
) -> None:
    """By name or without one; the operator who replays it lends it nothing."""
    _, mallory = users
    assert publish(users[mallory], disabled(mallory if honest else None)) is None
    refused = row(desk)
    assert (refused.kind, refused.reason, refused.detail) == (
        "event",
        "event.access_denied",
        {"pointer": "/source", "rule": "user"},
    )
    assert desk.replay([refused]).replayed == 1
    again = row(desk)
    assert (again.dead_letter_id, again.reason, again.replays) == (refused.dead_letter_id, "event.access_denied", 1)


def test_a_part_that_died_is_replayed_by_an_operator_on_the_producers_proof(users: dict[str, str], desk: Desk) -> None:
    """The operator is another broker user; the part is let in again, twice, and dies of the same cause."""
    idp = next(iter(users))
    assert publish(users[idp], disabled(idp)) is None
    for replays in range(3):
        died = row(desk)
        assert (died.kind, died.reason, died.replays) == ("unit", "route.unknown_provider", replays)
        assert desk.replay([died]).replayed == 1


def test_a_refused_event_is_let_in_once_its_user_is_listed(users: dict[str, str], desk: Desk) -> None:
    """The same check on the same evidence, with the settings of now."""
    _, mallory = users
    publish(users[mallory], disabled(mallory))
    refused = row(desk)
    source = SourceSettings(source=SOURCE, users=frozenset({mallory}))
    desk.authorizer = Authorizer({"idp": source}, proves_users=True)
    desk.replay([refused])
    assert {each.reason for each in taken_in(desk)} == {"event.access_denied", "route.unknown_provider"}


@pytest.mark.parametrize("header", [messages.USER, messages.DOOR])
def test_a_producer_cannot_write_what_a_replay_writes(users: dict[str, str], desk: Desk, header: str) -> None:
    """A user, a door: without our voucher they are claims."""
    idp, mallory = users
    seen = {messages.USER: idp, messages.VOUCHER: "0" * 64} | (
        {messages.DOOR: messages.CELERY_DOOR} if header == messages.DOOR else {}
    )
    publish(users[mallory], replace(disabled(mallory), headers=seen))
    assert row(desk).reason == "event.access_denied"


def test_an_event_that_crashed_the_intake_keeps_its_proof(users: dict[str, str], desk: Desk) -> None:
    """The broker gave it up, the recorder kept the user; a replay has it judged for the first time."""
    idp = next(iter(users))
    publish(users[idp], disabled(idp))
    with broker.connect(desk.broker_url) as connection:
        wait_for_message(topology.INTAKE_URGENT(connection.channel())).reject(requeue=False)
    [crashed] = wait_until(lambda: taken_in(desk), 20, "the broker's dead letter")
    assert crashed.reason == "broker.rejected"
    assert crashed.letter.headers == {messages.USER: idp}
    desk.replay([crashed])
    assert "route.unknown_provider" in {each.reason for each in taken_in(desk)}


@pytest.mark.parametrize("honest", [True, False])
def test_an_event_that_is_moved_to_its_lane_keeps_its_proof(
    users: dict[str, str],
    desk: Desk,
    honest: bool,  # noqa: FBT001 - a table
) -> None:
    """It is published again by the intake's user; it is let in, or refused, as if it had come to its queue at once."""
    idp, mallory = users
    wrong = replace(ended(idp if honest else mallory), routing_key="user.disabled", headers={messages.USER: idp})
    assert publish(users[idp if honest else mallory], wrong) is None
    desk.take_in()
    [moved] = desk.replayed(topology.INTAKE.name)
    assert moved.properties.get("user_id") is None
    assert not desk.ledger.dead_letters(EVERY), "it is not judged before"
    again = Message("", topology.INTAKE.name, moved.body, content_type=moved.content_type, headers=moved.headers)
    assert publish(desk.broker_url, again) is None
    expected = ("unit", "route.unknown_provider") if honest else ("event", "event.access_denied")
    found = row(desk)
    assert (found.kind, found.reason) == expected


def test_the_user_of_a_url_is_the_one_that_rabbitmq_sees(users: dict[str, str]) -> None:
    """Percent signs are read, guest is the default, a file has no user."""
    name, url = next(iter(users.items()))
    assert broker.user(url) == name == urlsplit(url).username
    assert broker.user("amqp://a%40b:c@host/") == "a@b"
    assert broker.user("amqp://host/") == "guest"
    assert broker.user("embedded:///file") is None
