"""One message and all the dead letters that are made of such: for the tests of what names and what vouches for them."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from tasks.call import Lane
from tasks.events import InvalidEvent, RejectionCode, parse_event
from tasks.events.model import UserDisabled
from tasks.outcome import Reason
from tasks.plan import RefusedUnit
from tasks.records import DeadLetter
from tasks.subject_index import SubjectIndex
from worker.broker import messages
from worker.broker.provenance import Provenance, ProvenanceMac
from worker.broker.publication import Message
from worker.intake import dead_letters
from worker.intake.authorization import Denied, Rule
from worker.operations.republishing import replay_message

NOW: Final = datetime(2026, 11, 26, 12, tzinfo=UTC)
MAC: Final = ProvenanceMac(b"subject-key-of-a-unit-test-0123456789", lambda: NOW)
SUBJECTS: Final = SubjectIndex(b"k" * 32)
DATA: Final = {"sub_id": {"format": "opaque", "id": "ada"}}
ATTRIBUTES: Final = {"ce-specversion": "1.0", "ce-id": "e1", "ce-source": "urn:hr", "ce-type": "user.disabled"}
TIMED: Final = ATTRIBUTES | {"ce-time": NOW.isoformat()}
REFUSAL: Final = InvalidEvent(RejectionCode.INVALID_TIME, "/time", body_storable=True, source="urn:hr", event_id="e1")


class Arrived:
    """A message as kombu hands it over."""

    def __init__(self, body: bytes, headers: Mapping[str, Any], content_type: str | None, user: str | None) -> None:
        self.body, self.headers, self.content_type, self.content_encoding = body, dict(headers), content_type, "utf-8"
        self.properties = {"user_id": user} if user else {}
        self.delivery_info: dict[str, Any] = {}


def arrived(**changed: Any) -> Any:
    """HR disables Ada, in binary mode, over its own broker user, signed; *changed* in one thing."""
    told = {"body": json.dumps(DATA).encode(), "headers": TIMED | {messages.SIGNATURE: "a..b"}, "user": "hr"}
    return Arrived(**({"content_type": "application/json", **told} | changed))


def again(published: Message) -> Any:
    """*published* by an operator's user, as the intake gets it."""
    return Arrived(published.body, published.headers, published.content_type, "operator")


def event() -> UserDisabled:
    """What the message says."""
    found = parse_event(json.dumps(DATA).encode(), now=NOW, content_type="application/json", headers=TIMED)
    assert isinstance(found, UserDisabled)
    return found


def of_unit(provenance: Provenance) -> DeadLetter:
    """The letter of its part at one provider."""
    [letter] = dead_letters.of_units(
        event(), [RefusedUnit("x", Reason.ROUTE_UNKNOWN_PROVIDER)], provenance, NOW, SUBJECTS
    )
    return letter


MAKERS: Final[Mapping[str, Callable[[Provenance], DeadLetter]]] = {
    "refused": lambda provenance: dead_letters.of_refused(REFUSAL, provenance, NOW),
    "denied": lambda provenance: dead_letters.of_denied(Denied(Rule.USER, "/source", "hr", event()), provenance, NOW),
    "held_back": lambda provenance: dead_letters.of_held_back(event(), provenance, NOW, SUBJECTS),
    "unit": of_unit,
    "given_up": lambda provenance: dead_letters.of_given_up(event(), provenance, Reason.BROKER_EXPIRED, NOW, {}),
}


def headers(**changed: object) -> dict[str, Any]:
    """Those of HR's message with *changed* (`_` for `-`); None takes one away."""
    told = arrived().headers | {name.replace("_", "-"): value for name, value in changed.items()}
    return {name: value for name, value in told.items() if value is not None}


def replayed(letter: DeadLetter) -> Message:
    """The message that replays *letter*."""
    return replay_message(letter, NOW, dict.fromkeys(Lane, timedelta(hours=1)), MAC)
