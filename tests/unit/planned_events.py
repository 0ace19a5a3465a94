"""Events about one person, and what is planned for them at providers of each kind."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from tasks.call import Lane, Operation
from tasks.events import Event, InvalidEvent, parse_event
from tasks.plan import Catalogue, Instance, Plan, plan_revocations
from tasks.providers import KINDS
from tasks.sealing import generate_key, seal
from tasks.subject_index import SubjectIndex

NOW = datetime(2026, 11, 21, 1, 20, tzinfo=UTC)
USER = "4f1d6a0e-8d5b-4b7e-9b0c-2a1f0d6c9e77"
OTHER = "0a2f8f0e-1111-4b7e-9b0c-2a1f0d6c9e77"
JWE, OTHER_JWE = (seal(token, "genesys", generate_key("k-1")) for token in ("token-1", "token-2"))
REFERENCE = "ref-1"
ISSUER = "https://idp.example.com/"
ALICE = {"format": "email", "email": "alice@example.com"}

CATALOGUE = Catalogue(
    {
        "genesys": Instance("genesys", KINDS["genesys"], ISSUER),
        "genesys-eu": Instance("genesys-eu", KINDS["genesys"]),
        "finbourne": Instance("finbourne", KINDS["finbourne"]),
        "wibmo": Instance("wibmo", KINDS["wibmo"]),
    },
    {Lane.ROUTINE: timedelta(hours=24), Lane.URGENT: timedelta(hours=72)},
    SubjectIndex(b"k" * 32),
)


def session(provider: str, **credential: str) -> dict[str, Any]:
    """A session as an event lists it."""
    return {"provider": provider, "credential": credential}


def event(kind: str, data: dict[str, Any], **attributes: Any) -> Event:
    """The event that this document parses to."""
    document = {
        "specversion": "1.0",
        "id": "e-1",
        "source": "urn:test",
        "type": kind,
        "time": "2026-11-21T01:15:30Z",
        "data": data,
        **attributes,
    }
    parsed = parse_event(json_bytes(document), now=NOW)
    assert not isinstance(parsed, InvalidEvent), parsed
    return parsed


def json_bytes(document: dict[str, Any]) -> bytes:
    """The document as it travels."""
    return json.dumps(document).encode()


def disabled(**data: Any) -> Plan:
    """The plan of a disabled user's event."""
    return plan_revocations(event("user.disabled", {"sub_id": ALICE, **data}), CATALOGUE)


def enabled(**data: Any) -> Plan:
    """The plan of an enabled user's event."""
    return plan_revocations(event("user.enabled", {"sub_id": ALICE, **data}), CATALOGUE)


def ended(*sessions: dict[str, Any], **attributes: Any) -> Plan:
    """The plan of an event that ends these sessions."""
    return plan_revocations(event("session.ended", {"sessions": list(sessions)}, **attributes), CATALOGUE)


def operations(plan: Plan) -> list[tuple[str, Operation]]:
    """Which provider is asked for what."""
    return [(call.provider, call.operation) for call in plan.calls]
