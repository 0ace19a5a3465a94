"""One complete installation for a test: settings, keys, processes, and what the providers saw."""

import json
import urllib.request
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from exposed import page
from prepared_ledgers import prepare
from servers import Daemon, Processes, free_port, queued_at, wait_until
from servers.embedded import queue_counts

from tasks.sealing import generate_key, save_key, seal
from worker import broker
from worker.broker import messages, topology
from worker.broker.publication import Message
from worker.broker.publisher import Publisher
from worker.ledger import Ledger
from worker.sandbox import SandboxConfig, sandbox_providers
from worker.settings.toml import toml_lines

SOURCE = "urn:test:session-timeout-job"
SUBJECT_KEY = "subject-key-of-a-test-installation"
Providers = Mapping[str, Mapping[str, Any]]
PROCESSES = ("intake", "worker", "recorder")


class System:
    """An installation in the folder *home* on the broker *broker_url*, its sandbox already running."""

    def __init__(  # noqa: PLR0913 - all that an installation is made of
        self,
        home: Path,
        broker_url: str,
        processes: Processes,
        *,
        latency: float = 0.0,
        migrates: bool = True,
        written: Callable[[Providers], Providers] = dict,
        **settings: Any,
    ) -> None:
        """*latency* is what every answer of a provider takes, in seconds; *settings* are the installation's.

        *migrates*: the ledger is brought up to date here; else the recorder does it. *written* says how the providers
        that the sandbox plays are written.
        """
        home.mkdir()
        self.home = home
        self.broker_url = broker_url
        self.processes = processes
        self.ports: dict[str, int] = {}  # of the endpoints of processes
        self.base_url = f"http://127.0.0.1:{free_port()}"
        (home / "keys").mkdir(mode=0o700)
        self.key = generate_key("test-key")
        save_key(home / "keys", self.key)
        self.document = self._settings({"providers": written(sandbox_providers(self.base_url)), **settings})
        self._journal: list[dict[str, Any]] = []
        self.env = {"REVOKER_CONFIG_FILE": str(write_settings(home, self.document))}
        if migrates:
            prepare(self.document["ledger_url"])
        self.ledger = Ledger.open(self.document["ledger_url"], audit_secret=SUBJECT_KEY.encode())
        self._start_sandbox(latency)

    def start(self, *names: str) -> list[Daemon]:
        """Start the named processes (all of them by default) as the Procfile does."""
        return [self.processes.start("revoker", name, env=self.env, name=name) for name in names or PROCESSES]

    def shown(self, name: str, **variables: str) -> dict[str, str]:
        """The environment of process *name*, in which it shows its metrics and health at a port of its own."""
        self.ports[name] = free_port()
        return {**self.env, "REVOKER_MONITORING__PORT": str(self.ports[name]), **variables}

    def start_shown(self, *names: str, **variables: str) -> list[Daemon]:
        """Start the named processes (all of them by default), each with an endpoint; wait until all are ready."""
        started = [
            self.processes.start("revoker", name, env=self.shown(name, **variables), name=name)
            for name in names or PROCESSES
        ]
        for name in names or PROCESSES:
            self.wait_page(name, "/readyz", HTTPStatus.OK)
        return started

    def wait_page(self, name: str, path: str, status: int) -> None:
        """Wait until process *name* answers with this status."""
        wait_until(lambda: self.page(name, path)[0] == status, 30, f"{name}{path} to be {status}")

    def page(self, name: str, path: str = "/metrics") -> tuple[int, str]:
        """What process *name* answers: status and text; status 0 where it answers nothing."""
        try:
            return page(self.ports[name], path)
        except OSError:
            return 0, ""

    def revoker(self, *arguments: str, code: int = 0) -> CompletedProcess[str]:
        """What an operator of this installation is told by `revoker`, which ends with *code*."""
        done = self.processes.run("revoker", *arguments, env=self.env)
        assert done.returncode == code, done.stderr
        return done

    def close(self) -> None:
        """Let the ledger go."""
        self.ledger.close()

    def secrets(self) -> dict[str, str]:
        """Every secret that the installation itself holds, by what it is."""
        sandbox = SandboxConfig()
        key = json.loads(next((self.home / "keys").iterdir()).read_text())
        return {
            "client secret": sandbox.client_secret.get_secret_value(),
            "api key": sandbox.api_key.get_secret_value(),
            "cipher key": sandbox.cipher.key.get_secret_value() if sandbox.cipher.key else "",
            "subject key": SUBJECT_KEY,
            "private sealing key": key["d"],
        }

    # -- events -----------------------------------------------------------------------------------

    def session(self, provider: str, token: str) -> dict[str, Any]:
        """A session as a producer lists it: its token sealed for the provider with `key`."""
        if provider == "wibmo":
            return {"provider": provider, "credential": {"token_reference_id": token}}
        return {"provider": provider, "credential": {"jwe": seal(token, provider, self.key)}}

    def ended(self, *sessions: dict[str, Any], event_id: str | None = None) -> dict[str, Any]:
        """An event that ends *sessions*."""
        return _event("session.ended", {"sessions": list(sessions)}, event_id)

    def disabled(self, event_id: str | None = None, **data: Any) -> dict[str, Any]:
        """An event that disables a user."""
        return _event("user.disabled", {"sub_id": {"format": "email", "email": "alice@example.com"}, **data}, event_id)

    def publish(self, events: Iterable[dict[str, Any]]) -> list[str]:
        """Publish *events* with confirms; returns their ids."""
        events = list(events)
        self.publish_all([messages.event(json.dumps(event).encode(), event["type"]) for event in events])
        return [event["id"] for event in events]

    def publish_all(self, outgoing: Sequence[Message]) -> None:
        """Publish messages of any kind with confirms, on a broker that knows the topology."""
        with broker.connect(self.broker_url) as connection:
            topology.declare(connection, self.providers)
        with Publisher(lambda: broker.connect(self.broker_url)) as publisher:
            publisher.publish_all(outgoing)

    # -- the providers ----------------------------------------------------------------------------

    @property
    def providers(self) -> list[str]:
        """The names of the configured provider instances."""
        return list(sandbox_providers(self.base_url))

    def script(self, *faults: dict[str, Any]) -> None:
        """Have the sandbox fail as told."""
        self._ask("POST", "faults", list(faults))

    def heal(self) -> None:
        """Have the sandbox fail no more."""
        self._ask("DELETE", "faults")

    def change_secret(self, secret: str) -> None:
        """Have every Genesys organisation take *secret* from now on, and nothing that was bought with the old one."""
        self._ask("PUT", "client-secret", {"client_secret": secret})

    def permit(self, *permissions: str) -> None:
        """Let the role of our client have *permissions* and no others, at every Genesys organisation."""
        self._ask("PUT", "permissions", {"permissions": permissions})

    def journal(self) -> list[dict[str, Any]]:
        """Every request the providers saw so far, in order; only the news are fetched."""
        self._journal += self._ask("GET", f"journal?since={len(self._journal)}")
        return list(self._journal)

    def expire_references(self, references: Iterable[str]) -> None:
        """Have references at Wibmo die by themselves."""
        self._ask("DELETE", "tokens", [{"provider": "wibmo", "token_reference_id": each} for each in references])

    def dead(self) -> dict[str, list[str]]:
        """By provider what opens no door there any more: tokens by digest, and users none of whose tokens lives."""
        told: dict[str, dict[str, list[str]]] = self._ask("GET", "tokens")
        return told["dead"]

    def revoked(self) -> Counter[str]:
        """How often each token, by its digest, or user was really revoked."""
        return Counter(entry["key"] for entry in self.journal() if entry["revoked"])

    # -- waiting ----------------------------------------------------------------------------------

    def wait_closed(self, ids: Iterable[str], seconds: float = 60, source: str = SOURCE) -> None:
        """Wait until the ledger knows each of these events as settled or dead."""
        wanted = set(ids)
        wait_until(lambda: wanted <= self.ledger.settled_or_dead(source, wanted), seconds, "every event to be closed")

    def states(self, event_id: str) -> dict[str, str]:
        """Provider → state of each part of an event."""
        return {row.provider or "-": str(row.state) for row in self.ledger.calls_of_event(event_id)}

    def queued(self) -> dict[str, int]:
        """Messages per queue, waiting, delayed or held by a consumer; queues with none are left out."""
        if not broker.is_embedded(self.broker_url):
            return queued_at(self.broker_url)
        with broker.connect(self.broker_url) as connection:
            connection.connect()
            counts = queue_counts(connection).items()
            return {name: n for name, each in counts if (n := each.ready + each.unacked + each.delayed)}

    # -- its own making ---------------------------------------------------------------------------

    def _settings(self, settings: dict[str, Any]) -> dict[str, Any]:
        return {
            "broker_url": self.broker_url,
            "ledger_url": f"sqlite:///{self.home / 'ledger.sqlite3'}",
            "keys_dir": str(self.home / "keys"),
            "subject_key": SUBJECT_KEY,
            "sources": {"tests": {"source": SOURCE, "trusted": True}},
            "retry": {"base": 1, "cap": 1, "max_attempts": 12},
            "hold": {"first": 2, "cap": 4},
            "monitoring": {"port": 0},
            "flood": dict.fromkeys(("disabled", "disabled_of_all", "ended", "ended_of_all"), 1_000_000),
            **settings,
        }

    def _start_sandbox(self, latency: float) -> None:
        port = self.base_url.rpartition(":")[2]
        options = ("--auto-issue", "--port", port, "--latency", str(latency))
        self.processes.start("revoker", "sandbox", *options, name="sandbox")
        wait_until(self._is_up, 20, "the sandbox to answer")

    def _is_up(self) -> bool:
        try:
            return bool(self._ask("GET", "health"))
        except OSError:
            return False

    def _ask(self, method: str, what: str, document: object = None) -> Any:
        body = None if document is None else json.dumps(document).encode()
        request = urllib.request.Request(f"{self.base_url}/_sandbox/{what}", body, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            content = answer.read()
        return json.loads(content) if content else None


def digest(token: str) -> str:
    """What the journal calls a token."""
    return sha256(token.encode()).hexdigest()


def write_settings(home: Path, document: dict[str, Any]) -> Path:
    """The file in *home* with *document* as its settings."""
    file = home / "revoker.toml"
    file.write_text("\n".join(toml_lines(document)))
    file.chmod(0o600)
    return file


def _event(kind: str, data: dict[str, Any], event_id: str | None) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": event_id or str(uuid.uuid4()),
        "source": SOURCE,
        "type": kind,
        "time": datetime.now(UTC).isoformat(),
        "data": data,
    }
