"""Events: what producers say, read strictly.

`parse_event` turns the bytes of a message into an `Event` of a type in `EVENT_TYPES`, or into an `InvalidEvent`
that names the fault and its place. The contract stands in `tasks/contracts/`.
"""

from tasks.events.content_mode import MAX_BODY, attribute_headers
from tasks.events.model import Event, SessionEnded, UserData, UserDisabled
from tasks.events.parsing import MAX_AHEAD, is_storable, parse_event
from tasks.events.rejection import InvalidEvent, RejectionCode
from tasks.events.types import EVENT_TYPES, EventType

__all__ = [
    "EVENT_TYPES",
    "MAX_AHEAD",
    "MAX_BODY",
    "Event",
    "EventType",
    "InvalidEvent",
    "RejectionCode",
    "SessionEnded",
    "UserData",
    "UserDisabled",
    "attribute_headers",
    "is_storable",
    "parse_event",
]
