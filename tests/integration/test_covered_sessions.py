"""The sessions that a call for the whole user stands for: dead with a 2xx of it, else called by themselves."""

import asyncio
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, cast

import pytest
from cli_installation import Installation
from replay_desk import BUDGETS, LIMITS, MAC, MAX_AGES, TRUSTING

from tasks.call import ProviderCall
from tasks.outcome import COVERING, Permanent, Reason, Settled, State, Transient
from tasks.records import DeadLetter, ledger_record
from tasks.revocations import revoke
from tasks.runtime import Held
from tasks.sealing import generate_key, save_key, seal
from worker.broker import messages, topology
from worker.broker.publication import Message, PublishError, Unconfirmed
from worker.calls.runtime import WorkerRuntime
from worker.intake.dedup import Deduplicator
from worker.intake.flood.gate import FloodGate
from worker.intake.intake import Controls, Intake
from worker.ledger import CallRow
from worker.operations.republishing import replay_message
from worker.settings import Settings

pytest_plugins = ["cli_fixtures"]

KEY: Final = generate_key("k-1")
USER: Final = "4f1d6a0e-8d5b-4b7e-9b0c-2a1f0d6c9e77"
WIDE, SESSION = "genesys.delete_token", "genesys.delete_tokens_me"
FOUND_NOBODY: Final = Settled(State.ALREADY_REVOKED, "404")


class Broker:
    """Keeps what is published, for the intake and for the worker; *refused* is what it never confirms."""

    def __init__(self) -> None:
        self.kept: list[Message] = []
        self.refused: str | None = None

    def begin(self, batch: Sequence[Message]) -> Callable[[], list[PublishError | None]]:
        """As a publisher does."""
        return partial(self.publish, batch)

    def publish(self, batch: Sequence[Message]) -> list[PublishError | None]:
        """As the intake's publisher does."""
        self.kept += batch
        return [None for _ in batch]

    def calls(self) -> list[ProviderCall]:
        """The provider calls in it."""
        tasks = [message for message in self.kept if message.exchange == topology.CALLS.name]
        return [ProviderCall.model_validate(json.loads(task.body)[0][0]) for task in tasks]


class RecordingPublisher:
    """The worker's way to the broker."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker

    async def publish(self, *batch: Message, of: ProviderCall | None = None) -> None:
        """As `RetryingPublisher` does."""
        del of
        if self.broker.refused in {message.exchange for message in batch}:
            raise Unconfirmed("no confirm")
        self.broker.publish(batch)


class Scene:
    """A user who was disabled at Genesys, and listed with sessions there: what the intake and the worker make of it."""

    def __init__(self, installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
        self.installation, self.monkeypatch, self.broker = installation, monkeypatch, Broker()
        (installation.home / "keys").mkdir()
        save_key(installation.home / "keys", KEY)
        self.runtime = WorkerRuntime(Settings.load())
        monkeypatch.setattr(self.runtime, "_publisher", RecordingPublisher(self.broker), raising=False)

    def take_in(self, *credentials: dict[str, str]) -> ProviderCall:
        """Have the intake plan the event; returns the one call it published."""
        sessions = [{"provider": "genesys", "credential": each} for each in credentials]
        people = {"sub_id": {"format": "email", "email": "ada@example.com"}, "accounts": {"genesys": {"user_id": USER}}}
        event = {"specversion": "1.0", "id": "e-1", "source": "urn:hr", "type": "user.disabled"}
        body = json.dumps({**event, "time": _minute_ago(), "data": {**people, "sessions": sessions}}).encode()
        settings, desk, publisher = Settings.load(), self.installation.desk, cast("Any", self.broker)
        gate = FloodGate(desk.asked, LIMITS)
        controls = Controls(MAC, TRUSTING, Deduplicator(desk.asked, MAX_AGES, timedelta(days=30)), gate)
        intake = Intake(settings.catalogue(), publisher, controls)
        assert not intake.begin([cast("Any", _Delivered(body))])()
        [call] = self.broker.calls()
        return call

    def revoke(self, call: ProviderCall, answer: Settled | Transient | Permanent | Held) -> None:
        """Have the worker make *call*, to which the provider answers so; what it tells is recorded."""

        async def execute(_: ProviderCall) -> Settled | Transient | Permanent | Held:
            return answer

        self.monkeypatch.setattr(self.runtime, "execute", execute)
        self.record()
        asyncio.run(revoke(self.runtime, call))

    def record(self) -> None:
        """Write what was told so far into the ledger; what stays in the broker is calls."""
        for message in self.broker.kept:
            if message.exchange == topology.DEAD.name:
                self.installation.desk.ledger.record([DeadLetter.model_validate_json(message.body)])
            elif message.exchange != topology.CALLS.name:
                self.installation.desk.ledger.record([ledger_record.validate_json(message.body)])
        self.broker.kept.clear()

    def sessions(self) -> list[CallRow]:
        """Where the sessions stand."""
        return [row for row in self.installation.desk.ledger.calls_of_event("e-1") if row.operation == SESSION]

    def verdict(self, code: int) -> str:
        """What `explain` says of the person."""
        told: str = self.installation.json("explain", "ada@example.com", code=code)["verdict"]
        return told


class _Delivered:
    content_type, headers, properties = messages.CLOUDEVENTS_JSON, {}, {}  # type: ignore[var-annotated] # as a message's
    delivery_info: Final = {"routing_key": "user.disabled"}

    def __init__(self, body: bytes) -> None:
        self.body = body


def _minute_ago() -> str:
    return (datetime.now(UTC) - timedelta(minutes=1)).isoformat()


@pytest.fixture
def scene(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """Nothing has happened yet."""
    return Scene(installation, monkeypatch)


TWO: Final = tuple({"jwe": seal(token, "genesys", KEY)} for token in ("token-1", "token-2"))


def test_until_the_covering_call_was_made_its_sessions_are_not_out(scene: Scene) -> None:
    """They are planned, and the row says what they await; no call of theirs is in the broker."""
    call = scene.take_in(*TWO, TWO[0])
    assert (call.operation, len(call.covers)) == (WIDE, 2)
    scene.record()
    assert {(row.state, row.reason) for row in scene.sessions()} == {(State.PLANNED, f"awaits {WIDE}")}
    assert f"genesys planned (awaits {WIDE})" in scene.verdict(code=1)


@pytest.mark.parametrize("state", sorted(COVERING))
def test_a_call_that_killed_every_token_settles_the_sessions_it_covers(scene: Scene, state: State) -> None:
    """With the evidence of that call; the sessions need none."""
    call = scene.take_in(*TWO)
    scene.revoke(call, Settled(state, "204"))
    assert scene.broker.calls() == []
    scene.record()
    assert [row.state for row in scene.sessions()] == [State.COVERED] * 2
    assert {row.detail["covered_by"] for row in scene.sessions()} == {call.call_id}
    assert {row.detail["evidence"] for row in scene.sessions()} == {f"{WIDE} 204"}
    assert scene.verdict(code=0).startswith("OUT everywhere")


@pytest.mark.parametrize(
    "answer",
    [
        FOUND_NOBODY,
        *(Settled(state, "") for state in (State.EXPIRED, State.SUPERSEDED)),
        Permanent(Reason.PROVIDER_NOT_FOUND),
        Permanent(Reason.AUTH_FORBIDDEN),
        Permanent(Reason.ROUTE_UNKNOWN_PROVIDER),
        Held("hold.operator", 10**9, tried=True),
    ],
    ids=str,
)
def test_any_other_end_of_the_covering_call_has_the_sessions_called_by_themselves(
    scene: Scene, answer: Settled | Permanent | Held
) -> None:
    """A 404 in either setting, any dead letter: with a session's own credential, and not out until that is settled."""
    call = scene.take_in(*TWO)
    scene.revoke(call, answer)
    made = scene.broker.calls()
    assert [(each.operation, {"jwe": each.jwe}, each.covers) for each in made] == [(SESSION, it, ()) for it in TWO]
    assert [each.call_id for each in made] == [each.call_id for each in call.covers]
    scene.record()
    assert [row.state for row in scene.sessions()] == [State.PLANNED] * 2
    assert "genesys planned" in scene.verdict(code=1)
    for each in made:
        scene.revoke(each, Settled(State.CONFIRMED, "204; probe 401"))
    scene.record()
    assert [row.state for row in scene.sessions()] == [State.CONFIRMED] * 2


@pytest.mark.parametrize("answer", [Transient(Reason.HTTP_5XX), Held(Reason.HTTP_5XX, 15)], ids=str)
def test_a_covering_call_that_comes_back_still_covers(scene: Scene, answer: Transient | Held) -> None:
    """Nothing is known of it yet."""
    call = scene.take_in(*TWO)
    scene.revoke(call, answer)
    [again] = scene.broker.calls()
    assert again.covers == call.covers


@pytest.mark.parametrize(
    ("answer", "refused"),
    [
        (FOUND_NOBODY, topology.CALLS.name),
        (FOUND_NOBODY, topology.OUTCOMES_URGENT.name),
        (Permanent(Reason.PROVIDER_NOT_FOUND), topology.CALLS.name),
        (Permanent(Reason.PROVIDER_NOT_FOUND), topology.DEAD.name),
    ],
    ids=str,
)
def test_nothing_is_settled_before_the_sessions_calls_are_confirmed(
    scene: Scene, answer: Settled | Permanent, refused: str
) -> None:
    """The task raises, so its message goes back to the queue, and what was said is said once more: no harm."""
    call = scene.take_in(*TWO)
    scene.broker.refused = refused
    with pytest.raises(PublishError):
        scene.revoke(call, answer)
    if (answer, refused) == (FOUND_NOBODY, topology.CALLS.name):
        assert scene.broker.kept == [], "no goal is told of while its sessions are nobody's"


def test_a_replay_of_the_covering_call_leaves_the_sessions_alone(scene: Scene) -> None:
    """They are calls of their own since it died."""
    scene.revoke(scene.take_in(*TWO), Permanent(Reason.PROVIDER_NOT_FOUND))
    scene.record()
    [letter] = scene.installation.desk.ledger.dead_letters()
    message = replay_message(letter.letter, datetime.now(UTC), BUDGETS, MAC)
    replayed = ProviderCall.model_validate(json.loads(message.body)[0][0])
    assert (replayed.operation, replayed.covers, letter.letter.call and letter.letter.call.covers) == (WIDE, (), ())


@pytest.mark.parametrize("credential", [{"token_reference_id": "r-1"}, {"ref": "vault:tokens/1"}])
def test_a_session_without_a_usable_credential_dies_where_nothing_covered_it(
    scene: Scene, credential: dict[str, str]
) -> None:
    """A 2xx covers it like any other; else its own call says that there is nothing to go by."""
    call = scene.take_in(credential)
    scene.revoke(call, FOUND_NOBODY)
    [made] = scene.broker.calls()
    assert (made.operation, made.jwe, made.call_id) == (SESSION, None, call.covers[0].call_id)


def test_no_secret_of_a_covered_session_is_in_the_calls_repr(scene: Scene) -> None:
    """Sealed credentials stay out of logs, also one level down."""
    shown: Any = repr(scene.take_in(*TWO))
    assert not [each["jwe"] for each in TWO if each["jwe"] in shown]
