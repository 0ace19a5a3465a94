"""Our own installation for a benchmark: settings, keys, and the events and calls that are put into its queues."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from tasks.call import ProviderCall
from tasks.events import InvalidEvent, parse_event
from tasks.outcome import State
from tasks.plan import plan_revocations
from tasks.records import outcome_of_call
from tasks.sealing import generate_key, save_key, seal
from worker.broker import messages
from worker.broker.publication import Message
from worker.settings import Settings

SOURCE: Final = "urn:benchmark"
UNLIMITED: Final = ("DISABLED", "DISABLED_OF_ALL", "ENDED", "ENDED_OF_ALL")  # one source's flood is what is measured


@dataclass(frozen=True)
class Installation:
    """A configured worker in the folder *home*, for *providers* Genesys-like instances p0, p1, … at *base_url*."""

    home: Path
    broker_url: str
    base_url: str
    ledger_url: str
    concurrency: int = 500
    providers: int = 1
    log_level: str = "WARNING"

    @property
    def names(self) -> list[str]:
        """The provider instances."""
        return [f"p{n}" for n in range(self.providers)]

    @property
    def env(self) -> dict[str, str]:
        """The environment of its processes."""
        in_flight = str(self.concurrency)
        return {
            "REVOKER_BROKER_URL": self.broker_url,
            "REVOKER_LEDGER_URL": self.ledger_url,
            "REVOKER_KEYS_DIR": str(self.home / "keys"),
            "REVOKER_SUBJECT_KEY": "subject-key-of-a-benchmark-run-only",
            "REVOKER_PROVIDERS": json.dumps(self.provider_settings),
            "REVOKER_SOURCES": json.dumps(self.sources),
            "REVOKER_WORKER__IN_FLIGHT_ROUTINE": in_flight,
            "REVOKER_WORKER__IN_FLIGHT_URGENT": in_flight,
            **dict.fromkeys(map("REVOKER_FLOOD__{}".format, UNLIMITED), "1000000"),
            "REVOKER_LOG_LEVEL": self.log_level,
            "REVOKER_MONITORING__PORT": "0",  # several installations run side by side
        }

    @property
    def provider_settings(self) -> dict[str, Any]:
        """The settings of each instance."""
        return {name: self._provider(name) for name in self.names}

    @property
    def sources(self) -> dict[str, Any]:
        """Who may say what."""
        return {"benchmark": {"source": SOURCE, "trusted": True}}

    def make(self) -> None:
        """Make its folder and its key."""
        keys = self.home / "keys"
        keys.mkdir(parents=True, mode=0o700, exist_ok=True)
        save_key(keys, self._key)

    def calls(self, count: int) -> list[Message]:
        """Tasks for users 1 to *count*, spread over the provider instances; no credential to be opened."""
        template = self._planned(self.disabled_event(0, "p0"))
        names = self.names
        return [messages.call(_of_user(template, n, names[n % len(names)])) for n in range(1, count + 1)]

    def calls_to(self, provider: str, numbers: Iterable[int]) -> list[Message]:
        """Tasks for the users of these *numbers*, all at one provider instance."""
        template = self._planned(self.disabled_event(0, provider))
        return [messages.call(_of_user(template, n, provider)) for n in numbers]

    def sealed_calls(self, count: int) -> list[Message]:
        """Tasks for sessions 1 to *count*, each with a sealed token that must be opened for its call."""
        template = self._planned(self.ended_event(0))
        return [messages.call(self._of_session(template, n)) for n in range(1, count + 1)]

    def routine_calls(self, count: int, first: int = 0) -> list[Message]:
        """Tasks of the routine lane, all with the same sealed token: sealing takes its time."""
        template = self._planned(self.ended_event(0))
        return [messages.call(template.model_copy(update=_identity(n))) for n in range(first + 1, first + count + 1)]

    def outcomes(self, count: int, first: int = 1) -> list[Message]:
        """Records of settled calls for users *first* and following, each for a row of its own in the ledger."""
        template = self._planned(self.disabled_event(0, "p0"))
        now = datetime.now(UTC)
        calls = (_of_user(template, n, "p0") for n in range(first, first + count))
        return [messages.record(outcome_of_call(call, State.ACCEPTED, now, 1, duration_ms=51.2)) for call in calls]

    def disabled_events(self, count: int, first: int = 1) -> list[Message]:
        """Urgent events that become one call each, for users *first* and following."""
        return [_event(self.disabled_event(n, "p0")) for n in range(first, first + count)]

    def ended_events(self, count: int, first: int = 0) -> list[Message]:
        """Routine events that become one call each, all with the same sealed token: sealing takes its time."""
        event = self.ended_event(0)
        return [_event({**event, "id": f"routine-{n}"}) for n in range(first, first + count)]

    def disabled_event(self, n: int, provider: str) -> dict[str, Any]:
        """An event that disables user *n*."""
        subject = {"format": "email", "email": f"user-{n}@example.com"}
        return _document("user.disabled", n, {"sub_id": subject, "accounts": {provider: {"user_id": user_id(n)}}})

    def ended_event(self, n: int) -> dict[str, Any]:
        """An event that ends session *n*."""
        session = {"provider": "p0", "credential": {"jwe": seal(user_id(n), "p0", self._key)}}
        return _document("session.ended", n, {"sessions": [session]})

    def _planned(self, event: dict[str, Any]) -> ProviderCall:
        parsed = parse_event(json.dumps(event).encode(), now=datetime.now(UTC), content_type=messages.CLOUDEVENTS_JSON)
        if isinstance(parsed, InvalidEvent):
            raise TypeError(f"the benchmark's event is refused: {parsed.code}")
        return plan_revocations(parsed, self._settings.catalogue()).calls[0]

    def _of_session(self, template: ProviderCall, n: int) -> ProviderCall:
        return template.model_copy(update={**_identity(n), "jwe": seal(user_id(n), "p0", self._key)})

    def _provider(self, name: str) -> dict[str, Any]:
        place = f"{self.base_url}/{name}"
        return {
            "kind": "genesys",
            "client_id": "benchmark",
            "client_secret": "secret-of-nothing",
            "api_base_url": place,
            "login_base_url": place,
            "proof_probe": False,  # one HTTP request a call, as the peers make
            "rate_limit": 0,  # nor are they held to the vendor's limit
        }

    @cached_property
    def _key(self) -> Any:  # noqa: ANN401 - joserfc's key types
        return generate_key("benchmark")

    @cached_property
    def _settings(self) -> Settings:
        return Settings(
            subject_key="subject-key-of-a-benchmark-run-only",
            providers=self.provider_settings,
        )


def event_of(kind: str, n: int, data: dict[str, Any]) -> Message:
    """Return an event of our source, ready to be published."""
    return _event(_document(kind, n, data))


def user_id(n: int) -> str:
    """The id that the provider counts for call *n*."""
    return str(uuid.UUID(int=n))


def _of_user(template: ProviderCall, n: int, provider: str) -> ProviderCall:
    return template.model_copy(update={**_identity(n), "user_id": user_id(n), "provider": provider})


def _identity(n: int) -> dict[str, str]:
    return {"call_id": str(uuid.UUID(int=n, version=4)), "event_id": f"bench-{n}"}


def _document(kind: str, n: int, data: dict[str, Any]) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"bench-{n}",
        "source": SOURCE,
        "type": kind,
        "time": datetime.now(UTC).isoformat(),
        "data": data,
    }


def _event(document: dict[str, Any]) -> Message:
    return messages.event(json.dumps(document).encode(), document["type"])
