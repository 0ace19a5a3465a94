"""The story with planted markers: every way a call can end, every way a message can be bad, and a kill -9."""

import json
import os
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from canary_search import Kind, Marker
from celery import Celery
from otlp_collector import OtlpCollector
from sentry_inbox import SentryInbox
from servers import Daemon, Processes, RabbitNode, wait_until
from system import SOURCE, System

from tasks.sealing import generate_key, seal
from worker.broker import messages, topology
from worker.broker.publication import Message

# A call with the user's own token, the fault that meets it, and what it comes to.
FAULTS: list[tuple[str, str, dict[str, Any]]] = [
    ("forbidden", "genesys", {"fault": "status", "status": 403}),
    ("missing", "finbourne", {"fault": "status", "status": 404}),
    ("broken", "genesys", {"fault": "status", "status": 503}),
    ("limited", "finbourne", {"fault": "status", "status": 429, "retry_after": "1"}),
    ("reset", "finbourne", {"fault": "reset"}),
    ("slow", "finbourne", {"fault": "slow", "seconds": 4}),
    ("moved", "genesys", {"fault": "status", "status": 302, "location": "http://127.0.0.1:9/login"}),
    ("garbled", "wibmo", {"fault": "malformed"}),
    ("wrong key", "wibmo", {"fault": "wrong_key"}),
    ("healed", "genesys", {"fault": "status", "status": 500, "times": 1}),
]
REASONS = {
    *("auth.forbidden", "http.5xx", "http.429", "http.3xx", "net.timeout", "net.connect", "provider.bad_reply"),
    *("crypto.seal", "event.plaintext_token", "event.malformed_json", "route.unknown_provider"),
}


DIRECTORY = "urn:canary:directory"


class CanaryStory:
    """A system whose every secret and every name is a marker; `tell` has it live through everything."""

    def __init__(
        self, home: Path, broker_url: str, processes: Processes, *, node: RabbitNode | None = None, **settings: Any
    ) -> None:
        """*node* is one of the story's own, to starve of memory; a password in a URL is a marker as well."""
        self.inbox, self.collector = SentryInbox(), OtlpCollector()
        self.markers: list[Marker] = []
        self.strangers: set[str] = set()  # ids of messages that hold a token in clear
        self.events: list[dict[str, Any]] = []
        self.node = node
        self.inspected: dict[str, Any] = {}  # question → answers
        urls = (broker_url, settings.get("ledger_url", ""))
        self.markers += [Marker("a password", password, Kind.SECRET) for password in map(_password, urls) if password]
        self.system = System(
            home,
            broker_url,
            processes,
            sentry_dsn=self.inbox.dsn,
            tracing={"endpoint": self.collector.endpoint},
            log_level="DEBUG",
            retry={"base": 1, "cap": 1, "max_attempts": 2},
            sources={"tests": {"source": SOURCE, "trusted": True}, "directory": self._directory(broker_url)},
            **settings,
        )
        self.system.env |= {"REVOKER_PROVIDERS__FINBOURNE__TIMEOUT": "1", "REVOKER_SECRETS_DIR": str(self._secrets())}
        self.markers += [Marker(name, value, Kind.SECRET) for name, value in self.system.secrets().items()]

    def close(self) -> None:
        """Let everything go."""
        self.system.close()
        self.inbox.close()
        self.collector.close()

    def plant(self, name: str, kind: Kind = Kind.SECRET) -> str:
        """A new marker."""
        self.markers.append(Marker(name, f"sbx-canary-{uuid.uuid4().hex}", kind))
        return self.markers[-1].value

    def tell(self) -> None:
        """Live through everything, and wait until nothing moves that can come to rest."""
        system = self.system
        worker = self._start_worker()
        for name in ("intake", "recorder"):
            system.processes.start("revoker", name, env=system.shown(name), name=name)
        calls = [*self._good(), *self._faulty(), *self._unsealable(), self._unknown()]
        ids = system.publish(calls)
        system.publish_all([*self._spilled(), self._through_the_door()])
        self._enable_again()
        held = system.publish([self._held() for _ in range(4)])
        wait_until(lambda: any(entry["fault"] == "slow" for entry in system.journal()), 30, "a call in flight")
        worker.kill9()
        self._start_worker()
        system.wait_closed([*ids, self.door["id"]], 90)
        again = system.publish([system.ended(system.session("finbourne", self.spent))])
        system.wait_closed(again)
        wait_until(lambda: self._strangers_dead() == len(self.strangers), 30, "the strangers' dead letters")
        wait_until(lambda: "held" in {system.states(each).get("genesys-eu") for each in held}, 30, "a held provider")
        wait_until(lambda: len(self.inbox.events) > 3, 30, "error reports")
        if self.node is not None:
            self._starve(self.node)
        self._crash()

    def _start_worker(self) -> Daemon:
        """With task events, where the broker is one that others could listen to."""
        events = ("-E",) if self.node else ()
        return self.system.processes.start("revoker", "worker", *events, env=self.system.shown("worker"), name="worker")

    def _starve(self, node: RabbitNode) -> None:
        """A memory alarm, with calls on their way and a producer that is not taken."""
        late = [self.system.ended(self._session(name, f"starved {name}")) for name in ("finbourne", "genesys")]
        self.system.script({"fault": "slow", "seconds": 9, "match": self.markers[-1].value})
        seen = len(self.system.journal())
        ids = self.system.publish(late)
        wait_until(lambda: len(self.system.journal()) >= seen + 2, 30, "calls on their way")
        self.inspected = _inspected(self.system.broker_url)
        assert "delete_tokens_me" in str(self.inspected["active"])
        node.raise_memory_alarm()
        event = self.system.home / "starved.json"
        event.write_text(json.dumps(self.system.ended(self._session("genesys", "not taken"))))
        assert self._command("publish", "--file", str(event)).wait(60) != 0
        node.clear_memory_alarm()
        self.system.wait_closed(ids, 60)

    def _crash(self) -> None:
        """A bug at the worst of moments, in each command that has a token in hand: a stack trace to people."""
        token = self.system.home / "token"
        token.touch(0o600)
        token.write_text(self.plant("token of a crash"))
        for bug in ("tasks.sealing.seal", "worker.broker.publisher.Publisher.publish"):
            done = self._command("publish", "session.ended", *_ONE_EVENT, "--token-file", str(token), bug=bug)
            assert done.wait(30) == 1
            assert "Traceback" in done.output

    def _command(self, *arguments: str, bug: str = "") -> Daemon:
        program = ("python", "-c", _WITH_A_BUG, bug) if bug else ("revoker",)
        return self.system.processes.start(*program, *arguments, env=self.system.env, name=f"command-{arguments[0]}")

    def _strangers_dead(self) -> int:
        return sum(letter.kind in {"event", "message"} for letter in self.system.ledger.dead_letters())

    def _secrets(self) -> Path:
        folder = self.system.home / "secrets"
        folder.mkdir()
        file = folder / "providers__genesys-eu__client_secret"
        file.touch(0o600)
        file.write_text(self.plant("wrong client secret"))
        return folder

    def _good(self) -> list[dict[str, Any]]:
        """Every provider with success: by session, and by the user's id with our own credential."""
        self.spent = self.plant("spent token")
        sessions = [self._session(name, f"good {name}") for name in ("genesys", "genesys-eu", "wibmo")]
        self.events += [
            self.system.ended(*sessions, self.system.session("finbourne", self.spent)),
            self.system.disabled(
                sub_id={"format": "email", "email": f"{self.plant('address', Kind.NAME)}@example.com"},
                accounts={"genesys": {"user_id": self._account()}},
                sessions=[self._session("genesys", "covered")],
            ),
        ]
        return self.events

    def _faulty(self) -> list[dict[str, Any]]:
        events = []
        for name, provider, fault in FAULTS:
            session = self._session(provider, name)
            self.system.script({**fault, "match": self.markers[-1].value})
            events.append(self.system.ended(session))
        return events

    def _unsealable(self) -> list[dict[str, Any]]:
        """A key we lack, a key of ours that is not ours, and a token sealed for somebody else."""
        jwes = [
            seal(self.plant("unknown key"), "genesys", generate_key("unknown")),
            seal(self.plant("impostor's key"), "genesys", generate_key("test-key")),
            seal(self.plant("wrong audience"), "finbourne", self.system.key),
        ]
        return [self.system.ended({"provider": "genesys", "credential": {"jwe": jwe}}) for jwe in jwes]

    def _unknown(self) -> dict[str, Any]:
        return self.system.ended(self._session("nobody", "nobody's"))

    def _held(self) -> dict[str, Any]:
        return self.system.disabled(accounts={"genesys-eu": {"user_id": self._account()}})

    def _spilled(self) -> list[Message]:
        """Tokens in clear: in events that are refused, and in messages that got into a task queue."""
        token = self.system.ended({"provider": "genesys", "credential": {"token": self._spill("an event")}})
        call = [[{"call_id": "1", "jwe": self._spill("a call"), "x": {"y": self._spill("deep")}}], {}, {}]
        unnamed = [[], {self._spill("an argument's name"): 1}, {}]
        spilled = [
            messages.event(json.dumps(token).encode(), "session.ended"),
            messages.event(f'{{"token": "{self._spill("no JSON")}", '.encode(), "session.ended"),
            _task("finbourne.invalidate_token", json.dumps(call).encode()),
            _task("finbourne.invalidate_token", json.dumps(unnamed).encode()),
            _task("finbourne.invalidate_token", f"[[{self._spill('no JSON, in a task')}".encode()),
            _task("nobody.knows", json.dumps([[self._spill("an unknown task")], {}, {}]).encode()),
            Message(topology.CALLS.name, "genesys.routine", json.dumps({"t": self._spill("no task")}).encode()),
        ]
        self.strangers = {message.message_id for message in spilled}
        return spilled

    def _directory(self, broker_url: str) -> dict[str, Any]:
        """The source that may enable people again: on RabbitMQ by its broker user, who is whoever publishes here."""
        self.user = urlsplit(broker_url).username
        proof = {"users": [self.user]} if self.user else {"trusted": True}
        return {"source": DIRECTORY, "types": ["user.disabled", "user.enabled"], **proof}

    def _enable_again(self) -> None:
        """Somebody is enabled again, with a name and an account that are seen nowhere else."""
        who = {"format": "email", "email": f"{self.plant('an address enabled again', Kind.NAME)}@example.com"}
        told = self.system.disabled(sub_id=who, accounts={"genesys": {"user_id": self._account()}})
        told |= {"type": "user.enabled", "source": DIRECTORY}
        event = messages.event(json.dumps(told).encode(), "user.enabled")
        self.system.publish_all([replace(event, user_id=self.user)])
        wait_until(lambda: self.system.states(told["id"]).get("genesys") == "enabled", 30, "the record of it")

    def _through_the_door(self) -> Message:
        self.door = self.system.ended(self._session("genesys", "through the door"))
        return _task("session.ended", json.dumps([[self.door], {}, {}]).encode(), "door")

    def _spill(self, where: str) -> str:
        return self.plant(f"token in clear in {where}", Kind.SPILLED)

    def _session(self, provider: str, name: str) -> dict[str, Any]:
        return self.system.session(provider, self.plant(name, Kind.NAME if provider == "wibmo" else Kind.SECRET))

    def _account(self) -> str:
        """A user's id: a UUID, for Genesys takes nothing else."""
        self.markers.append(Marker("account", str(uuid.UUID(bytes=os.urandom(16), version=4)), Kind.NAME))
        return self.markers[-1].value


_ONE_EVENT = ("--sub", "somebody", "--iss", "urn:somebody", "--provider", "genesys")
_WITH_A_BUG = """
import sys, unittest.mock, worker.cli
with unittest.mock.patch(sys.argv.pop(1), side_effect=RuntimeError("a bug")):
    worker.cli.main()
"""
_QUESTIONS = ("active", "reserved", "scheduled", "registered", "active_queues", "stats", "conf", "report")


def _inspected(broker_url: str) -> dict[str, Any]:
    """What a worker answers to each question of `celery inspect`, in Celery's own client."""
    with Celery(broker=broker_url, set_as_current=False) as client:
        inspect = client.control.inspect(timeout=1)
        return {question: getattr(inspect, question)() for question in _QUESTIONS}


def _password(url: str) -> str | None:
    return urlsplit(url).password if "canary" in url else None


def _task(name: str, body: bytes, key: str = "finbourne.routine") -> Message:
    """A task message without the headers that hide its arguments."""
    return Message(topology.CALLS.name, key, body, headers={"lang": "py", "task": name, "id": str(uuid.uuid4())})
