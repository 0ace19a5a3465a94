"""Events: what producers say, read strictly.

`parse_event` turns the bytes of a message into an `Event` of a type in `EVENT_TYPES`, or into an `InvalidEvent`
that names the fault and its place. The contract stands in `tasks/contracts/`.
"""

from tasks.events.model import (
    EVENT_TYPES,
    SESSION_ENDED,
    SESSION_STARTED,
    USER_DISABLED,
    USER_ENABLED,
    EnabledData,
    Event,
    PersonData,
    SessionsData,
    StartedData,
    UserData,
)
from tasks.events.parsing import parse_event
from tasks.events.rejection import InvalidEvent, RejectionCode

__all__ = [
    "EVENT_TYPES",
    "SESSION_ENDED",
    "SESSION_STARTED",
    "USER_DISABLED",
    "USER_ENABLED",
    "EnabledData",
    "Event",
    "InvalidEvent",
    "PersonData",
    "RejectionCode",
    "SessionsData",
    "StartedData",
    "UserData",
    "parse_event",
]
