"""A session registry on a ledger, events as intakes take them in, and what of their sessions still lives."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from tasks.call import Lane, ProviderCall
from tasks.catalogue import Catalogue, Instance
from tasks.events import Event, InvalidEvent, parse_event
from tasks.outcome import State
from tasks.plan import Plan, plan_revocations
from tasks.providers import KINDS
from tasks.records import CallOutcome
from tasks.subject_index import SubjectIndex
from worker.database.cipher import RowCipher
from worker.database.thread import DatabaseThread
from worker.intake.registry.registry import SessionRegistry
from worker.intake.registry.resolving import Resolver
from worker.ledger import Ledger
from worker.settings.registry import RegistrySettings

NAMES: Final = ("genesys", "finbourne", "wibmo")
SUBJECTS: Final = SubjectIndex(b"k" * 32)
CATALOGUE: Final = Catalogue(
    {name: Instance(name, KINDS[name]) for name in NAMES}, dict.fromkeys(Lane, timedelta(hours=1)), SUBJECTS
)
NOON: Final = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
ADA: Final = {"format": "email", "email": "ada@example.com"}
LIMITED: Final = "urn:limited"  # the source whose events reach wibmo alone
JWE: Final = "eyJhbGciOiJFQ0RILUVTK0EyNTZLVyIsImVuYyI6IkEyNTZHQ00ifQ.{}.AAAA.AAAA.AAAA"


def session(name: str, provider: str = "finbourne", **members: Any) -> dict[str, Any]:
    """The session *name*, as an event lists it."""
    credential = {"token_reference_id": name} if provider == "wibmo" else {"jwe": JWE.format(name)}
    return {"provider": provider, "credential": credential, **members}


def event(kind: str, at: float, data: Mapping[str, Any], event_id: str | None = None, source: str = "urn:a") -> Event:
    """An event that happened so many seconds after NOON."""
    time = (NOON + timedelta(seconds=at)).isoformat()
    identity = {"specversion": "1.0", "id": event_id or f"{kind}-{at}", "source": source, "type": kind, "time": time}
    parsed = parse_event(json.dumps({**identity, "data": data}).encode(), now=datetime.now(UTC))
    assert not isinstance(parsed, InvalidEvent), parsed
    return parsed


def started(at: float, *sessions: Mapping[str, Any], who: Mapping[str, Any] = ADA, **more: Any) -> Event:
    """A session.started."""
    event_id = more.pop("event_id", None)
    return event("session.started", at, {"sub_id": who, "sessions": [*sessions], **more}, event_id, "urn:login")


def disabled(at: float, who: Mapping[str, Any] = ADA, *, source: str = "urn:a", **more: Any) -> Event:
    """A user.disabled."""
    return event("user.disabled", at, {"sub_id": who, **more}, source=source)


def enabled(at: float) -> Event:
    """A user.enabled of the same source."""
    return event("user.enabled", at, {"sub_id": ADA})


def ended(at: float, *ids: str, issuer: str = "urn:login") -> Event:
    """A session.ended that names ids alone."""
    return event("session.ended", at, {"session_ids": [*ids], "session_issuer": issuer}, f"ended-{at}-{ids}")


@contextmanager
def registry(
    ledger_url: str, of: type[SessionRegistry] = SessionRegistry, **settings: Any
) -> Iterator[SessionRegistry]:
    """That of one intake process."""
    cipher = RowCipher(b"subject-key-of-a-unit-test-0123456789", "the session registry")
    told = RegistrySettings(enabled=True, **settings), timedelta(days=2), {LIMITED: frozenset({"wibmo"})}
    resolver = Resolver(CATALOGUE, cipher, *told)
    with closing(DatabaseThread(ledger_url, durable=True)) as thread:
        yield of(thread, resolver)


def plans(registry: SessionRegistry, *events: Event) -> list[Plan]:
    """The plans of *events*, which one batch holds."""
    found = registry.resolve(events)
    assert found is not None
    return [plan_revocations(each, CATALOGUE, NOON, known) for each, known in zip(events, found, strict=True)]


def planned(registry: SessionRegistry, *events: Event) -> list[str]:
    """The sessions that *events*, in one batch, become calls for."""
    return sorted(name for plan in plans(registry, *events) for name in names(plan.calls))


def names(calls: Sequence[ProviderCall]) -> list[str]:
    """The names of the sessions that *calls* end."""
    return [call.token_reference_id or str(call.jwe).split(".")[1] for call in calls if call.user_id is None]


def settle(ledger: Ledger, known: SessionRegistry, event: Event, state: State = State.CONFIRMED) -> None:
    """Have the ledger learn that what *event* became is settled, and the registry what the ledger knows."""
    [plan] = plans(known, event)
    told = ("call_id", "source", "event_id", "event_type", "provider", "operation", "subject", "occurred_at")
    more = {"at": datetime.now(UTC), "state": state, "attempt": 1, "replays": 0}
    members = [{name: getattr(call, name) for name in (*told, "target_key")} for call in plan.calls]
    ledger.record([CallOutcome(**each, **more) for each in members])
    while known.tidy():
        pass
