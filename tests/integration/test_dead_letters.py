"""A dead letter can be replayed: once, in its own queue, without its past, and not where it would do harm."""

import base64
import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ledger_figures import audits
from replay_desk import EVERY, MAC, Desk, audit, call_in, dead_call, dead_unit, told, wait_for_message

from tasks.call import Lane
from tasks.outcome import State
from tasks.providers import genesys
from worker import broker
from worker.broker import messages, topology
from worker.broker.messages import body_of
from worker.broker.publisher import Publisher
from worker.ledger import DeadLetterState, Pace
from worker.operations import replay_watch
from worker.operations.job_report import ReplayResult
from worker.operations.replay import INTERRUPTED
from worker.recorder import Recorder

pytest_plugins = ["desk_fixtures"]

PAST = ("x-death", "x-first-death", "x-last-death")


def test_a_replayed_call_is_back_in_its_own_queue_afresh(desk: Desk) -> None:
    """Same identity, no attempts behind it, a new time budget, one replay more."""
    letter = dead_call(call_id="the-same")
    result = desk.replay(desk.fill(letter))
    [message] = desk.replayed()
    call = call_in(message)
    assert (result.replayed, result.stopped) == (1, None)
    assert (call["call_id"], call["attempts"], call["replays"]) == ("the-same", [], 1)
    assert datetime.fromisoformat(call["deadline"]) > datetime.now(UTC) + timedelta(hours=23)
    assert desk.row(letter).state is DeadLetterState.REPLAYED


def test_an_urgent_call_goes_back_to_the_urgent_lane(desk: Desk) -> None:
    """A replay never changes lanes."""
    urgent = {"event_type": "user.disabled", "lane": Lane.URGENT, "provider": "genesys"}
    desk.replay(desk.fill(dead_call(**urgent, operation=genesys.DELETE_TOKEN)))
    assert len(desk.replayed("revocation.calls.genesys.urgent")) == 1


def test_a_replayed_unit_asks_the_intake_for_its_provider_alone(desk: Desk) -> None:
    """The event's body and attributes are those that arrived; its siblings are not revoked again."""
    letter = dead_unit()
    desk.replay(desk.fill(letter))
    [message] = desk.events()
    assert body_of(message) == base64.b64decode(letter.body or "")
    assert message.content_type == "application/json"
    assert message.headers["ce-id"] == "7"
    assert message.headers[messages.REPLAY_PROVIDER] == "genesys"
    assert message.headers[messages.REPLAYS] == 1


def test_a_replayed_event_is_judged_anew_as_a_whole(desk: Desk) -> None:
    """No provider is singled out."""
    desk.replay(desk.fill(dead_unit(kind="event", provider=None, event_type=None)))
    [message] = desk.events()
    assert messages.REPLAY_PROVIDER not in message.headers


def test_a_unit_that_dies_again_is_dead_again(desk: Desk) -> None:
    """Replayed while its provider is still unknown: back on the desk, its first death and its replays remembered."""
    data = {"sub_id": {"format": "opaque", "id": "alice"}, "providers": ["nobody"]}
    event = {"specversion": "1.0", "id": "e1", "source": "urn:test", "type": "user.disabled", "data": data}
    body = json.dumps(event | {"time": datetime.now(UTC).isoformat()}).encode()
    desk.take_in(messages.event(body, "user.disabled"))
    [row] = desk.ledger.dead_letters(EVERY)
    assert desk.replay([row]).replayed == 1
    desk.take_in()
    [again] = desk.ledger.dead_letters(EVERY)
    assert (again.dead_letter_id, again.state, again.replays) == (row.dead_letter_id, DeadLetterState.DEAD, 1)
    assert (again.first_at, again.reason) == (row.first_at, "route.unknown_provider")


def test_two_replays_at_once_do_each_dead_letter_once(desk: Desk) -> None:
    """The claim in the ledger decides, whoever comes first."""
    letters = [dead_call() for _ in range(40)]
    rows = desk.fill(*letters)
    results: list[ReplayResult] = []
    both = [threading.Thread(target=lambda: results.append(desk.replay(rows, Pace(400.0)))) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    ids = [call_in(message)["call_id"] for message in desk.replayed()]
    assert sorted(ids) == sorted(letter.call.call_id for letter in letters if letter.call)
    assert sum(result.replayed for result in results) == sum(result.taken for result in results) == 40


def test_one_that_died_again_meanwhile_is_another_death(local_desk: Desk) -> None:
    """Who planned a replay before somebody else did it does not replay it a second time."""
    letter = dead_call()
    planned = local_desk.fill(letter)
    local_desk.replay(planned)
    assert letter.call is not None
    local_desk.fill(letter.model_copy(update={"replays": 1, "call": letter.call.model_copy(update={"replays": 1})}))
    result = local_desk.replay(planned)
    assert (result.replayed, result.changed) == (0, 1)
    assert local_desk.row(letter).state is DeadLetterState.DEAD


def test_a_replayed_message_tells_nothing_of_its_deaths(tmp_path: Path, rabbitmq_url: str) -> None:
    """RabbitMQ gave it up once, with headers that would have it dropped as a cycle."""
    desk = Desk(tmp_path, rabbitmq_url)
    letter = dead_call()
    assert letter.call is not None
    with Publisher(lambda: broker.connect(rabbitmq_url)) as publisher:
        publisher.publish_all([messages.call(letter.call)])
    with broker.connect(rabbitmq_url) as connection:
        queue = topology.calls_queue("finbourne", Lane.ROUTINE)(connection.channel())
        wait_for_message(queue).reject(requeue=False)
        died = wait_for_message(topology.DEAD_QUEUE(connection.channel()))
        assert died.headers["x-death"]
        assert not Recorder(desk.ledger, MAC).handle([died])
        died.ack()
    desk.replay(desk.ledger.dead_letters(EVERY))
    [message] = desk.replayed()
    assert not [name for name in message.headers if name.startswith(PAST)]
    assert message.headers.get("x-delivery-count", 0) == 0, "the broker counts from the start again"
    assert call_in(message)["call_id"] == letter.call.call_id
    desk.ledger.close()


def test_a_replay_that_cannot_be_published_leaves_the_dead_letter_free(local_desk: Desk) -> None:
    """The claim is given back, so the next replay finds it; nothing is lost."""
    letter = dead_call(provider="nobody")
    result = local_desk.replay(local_desk.fill(letter))
    assert (result.replayed, result.not_published) == (0, 1)
    assert result.stopped
    assert local_desk.row(letter).state is DeadLetterState.DEAD


def test_an_interrupted_replay_leaves_the_rest_free(local_desk: Desk) -> None:
    """The step under way is finished: what went out is replayed, the rest is dead and unclaimed."""
    rows = local_desk.fill(*(dead_call() for _ in range(3)))
    stop = threading.Event()
    result = local_desk.replay(rows, Pace(5.0), progress=lambda _: stop.set(), is_stopping=stop.is_set)
    assert result.stopped == INTERRUPTED
    states = [row.state for row in local_desk.ledger.dead_letters(EVERY)]
    assert sorted(states) == [DeadLetterState.DEAD, DeadLetterState.DEAD, DeadLetterState.REPLAYED]
    assert local_desk.replay(local_desk.ledger.dead_letters()).replayed == 2


def test_a_claim_nobody_finished_is_free_when_its_lease_ends(local_desk: Desk) -> None:
    """A process killed between claim and publish takes nothing with it."""
    [row] = local_desk.fill(dead_call())
    assert local_desk.ledger.claim([row.dead_letter_id], audit=audit())
    assert local_desk.replay([row]).taken == 1
    assert local_desk.ledger.claim([row.dead_letter_id], audit=audit(), lease=timedelta(0))


def test_a_dead_canary_stops_the_replay(local_desk: Desk) -> None:
    """One dead letter more, not all of them."""
    letters = [dead_call() for _ in range(5)]
    rows = local_desk.fill(*letters)
    first = next(letter for letter in letters if letter.dead_letter_id == rows[0].dead_letter_id)

    def dies_again(_: float) -> None:
        assert first.call is not None
        again = {"replays": 1, "call": first.call.model_copy(update={"replays": 1}), "at": datetime.now(UTC)}
        local_desk.ledger.record([first.model_copy(update=again)])

    result = local_desk.replay(rows, Pace(1000.0, canary=1, wait=5), sleep=dies_again)
    assert (result.replayed, result.died, result.stopped) == (1, 1, "the canary died again")
    assert len(local_desk.replayed()) == 1


def test_a_living_canary_lets_the_rest_follow(local_desk: Desk) -> None:
    """Once the canary has settled."""
    letters = [dead_call() for _ in range(5)]
    rows = local_desk.fill(*letters)

    def settles(_: float) -> None:
        out = [letter for letter in letters if local_desk.row(letter).state is DeadLetterState.REPLAYED]
        local_desk.ledger.record([told(letter, State.ACCEPTED) for letter in out])

    result = local_desk.replay(rows, Pace(1000.0, canary=2, wait=5), sleep=settles)
    assert (result.replayed, result.settled, result.stopped) == (5, 5, None)


def test_a_canary_of_which_nothing_is_heard_stops_the_replay(local_desk: Desk) -> None:
    """No news is no proof: the rest waits for an operator."""
    result = local_desk.replay(local_desk.fill(*(dead_call() for _ in range(3))), Pace(1000.0, canary=1, wait=0.05))
    assert (result.replayed, result.pending) == (1, 1)
    assert "had not settled" in (result.stopped or "")


def test_a_replay_stops_when_too_many_have_died_again(local_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger is asked on the way, not only at the end."""
    monkeypatch.setattr(replay_watch, "INTERVAL", 0.0)  # however slow a step was, the next look is due
    letters = {letter.dead_letter_id: letter for letter in (dead_call() for _ in range(6))}
    rows = local_desk.fill(*letters.values())

    def dies_again(_: int) -> None:
        for row in local_desk.ledger.dead_letters(EVERY):
            call = letters[row.dead_letter_id].call
            if row.state is DeadLetterState.REPLAYED and call:
                again = {"replays": 1, "call": call.model_copy(update={"replays": 1})}
                local_desk.ledger.record([letters[row.dead_letter_id].model_copy(update=again)])

    result = local_desk.replay(rows, Pace(3.0, stop_after_failures=2), progress=dies_again)
    assert (result.replayed, result.died, result.stopped) == (2, 2, "2 died again")


def test_every_replay_is_on_record(local_desk: Desk) -> None:
    """Who, why, how many and with what result, under one audit id that the dead letters carry too."""
    local_desk.replay(local_desk.fill(dead_call(), dead_call()), Pace(10.0))
    [entry] = audits(local_desk.ledger)
    assert (entry.actor, entry.reason, entry.count, entry.result) == ("olga", "provider is back", 2, "2 replayed")
    assert {row.audit_id for row in local_desk.ledger.dead_letters(EVERY)} == {entry.audit_id}
