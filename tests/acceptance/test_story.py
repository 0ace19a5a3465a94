"""Whole stories, on both brokers: an event goes in, tokens die at the providers, and the ledger knows it."""

import uuid

from celery import Celery
from servers import wait_until
from system import System, digest

from worker.broker import embedded, topology

USER = "4f1d6a0e-8d5b-4b7e-9b0c-2a1f0d6c9e77"


def token() -> str:
    """A token the sandbox has never seen, live until it is revoked."""
    return f"sbx-{uuid.uuid4()}"


def test_an_ended_session_dies_at_every_provider(system: System) -> None:
    """The provider's journal says so, and the ledger says how each is known."""
    system.start()
    tokens = {name: token() for name in ("genesys", "genesys-eu", "finbourne", "wibmo")}
    event = system.ended(*(system.session(name, secret) for name, secret in tokens.items()))
    system.wait_closed(system.publish([event]))
    assert system.states(event["id"]) == {
        "genesys": "confirmed",
        "genesys-eu": "confirmed",
        "finbourne": "accepted",
        "wibmo": "accepted",
    }
    assert set(system.revoked()) == {digest(secret) for secret in tokens.values()}


def test_a_disabled_user_loses_every_token_with_one_call(system: System) -> None:
    """DeleteToken by the user's id; the listed session is covered, and the others are on record."""
    system.start()
    event = system.disabled(
        accounts={"genesys": {"user_id": USER}},
        sessions=[system.session("genesys", token()), system.session("finbourne", token())],
    )
    system.wait_closed(system.publish([event]))
    rows = [(row.provider, str(row.state)) for row in system.ledger.calls_of_event(event["id"])]
    assert sorted(rows) == [
        ("finbourne", "accepted"),
        ("genesys", "accepted"),
        ("genesys", "covered"),
        ("genesys-eu", "no_session_known"),
        ("wibmo", "no_session_known"),
    ]
    assert [e["key"] for e in system.journal() if e["operation"] == "genesys.delete_token"] == [USER]


def test_a_token_that_was_dead_already_is_the_goal_reached(system: System) -> None:
    """The same token in a second event: 401 on the user's own token."""
    system.start()
    secret = token()
    first, second = (system.ended(system.session("finbourne", secret)) for _ in range(2))
    system.wait_closed(system.publish([first]))
    system.wait_closed(system.publish([second]))
    assert system.states(second["id"]) == {"finbourne": "already_revoked"}


def test_the_same_event_twice_has_one_effect(system: System) -> None:
    """One row in the ledger; the provider sees at most one call more."""
    system.start()
    event = system.ended(system.session("finbourne", token()))
    system.wait_closed(system.publish([event, event]))
    wait_until(lambda: not system.queued(), 20, "the queues to be empty")
    assert len(system.ledger.calls_of_event(event["id"])) == 1
    assert sum(system.revoked().values()) == 1


def test_six_failures_in_a_row_come_back_to_their_own_lane(system: System) -> None:
    """A worker that consumes that one queue only settles the call after six delays by the broker."""
    system.start("intake", "recorder")
    queue = "revocation.calls.finbourne.urgent"
    system.processes.start("revoker", "worker", "-Q", queue, env=system.env, name="one-lane-worker")
    secret = token()
    system.script({"fault": "status", "status": 503, "match": secret, "times": 6})
    event = system.disabled(sessions=[system.session("finbourne", secret)])
    system.wait_closed(system.publish([event]), 90)
    assert system.states(event["id"])["finbourne"] == "accepted"
    assert [e["status"] for e in system.journal()] == [503] * 6 + [204]


def test_a_producer_that_speaks_celery_has_a_door_of_its_own(system: System) -> None:
    """The tasks `session.ended` and `user.disabled` take the same event, and it goes the same way."""
    system.start()
    secret = token()
    event = system.ended(system.session("finbourne", secret))
    embedded.register()
    producer = Celery(broker=system.broker_url, set_as_current=False)
    with producer.connection_for_write() as connection:
        topology.declare(connection, system.providers)
        options = {"exchange": topology.CALLS, "routing_key": "door", "argsrepr": "(sealed)", "kwargsrepr": "{}"}
        producer.send_task("session.ended", args=[event], connection=connection, ignore_result=True, **options)
    system.wait_closed([event["id"]])
    assert set(system.revoked()) == {digest(secret)}


def test_a_forbidden_call_is_dead_at_once_and_an_operator_sees_it(system: System) -> None:
    """403 on the user's own token: one request, one dead letter with its reason."""
    system.start()
    secret = token()
    system.script({"fault": "status", "status": 403, "match": secret})
    event = system.ended(system.session("genesys", secret))
    system.wait_closed(system.publish([event]))
    [letter] = system.ledger.dead_letters()
    assert (letter.provider, letter.reason, letter.event_id) == ("genesys", "auth.forbidden", event["id"])
    assert len(system.journal()) == 1


def test_a_unit_nobody_can_resolve_does_not_block_its_siblings(system: System) -> None:
    """An unknown provider is a dead letter; the known one is revoked."""
    system.start()
    event = system.ended(system.session("nobody", token()), system.session("finbourne", token()))
    system.wait_closed(system.publish([event]))
    wait_until(system.ledger.dead_letters, 20)
    assert [letter.reason for letter in system.ledger.dead_letters()] == ["route.unknown_provider"]
    assert sum(system.revoked().values()) == 1
