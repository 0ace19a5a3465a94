"""The event types: one list of them, each with its model and the lane of what it asks for."""

from dataclasses import dataclass
from typing import Final, get_args

from tasks.call import Lane
from tasks.events.model import Event, SessionEnded, UserData, UserDisabled


@dataclass(frozen=True, slots=True)
class EventType:
    """One type of event."""

    model: type[Event]
    lane: Lane

    @property
    def name(self) -> str:
        """Its CloudEvents `type`, as the model has it."""
        return str(get_args(self.model.model_fields["type"].annotation)[0])

    @property
    def hits_user(self) -> bool:
        """Whether it asks for every token of a user; else for those of listed sessions."""
        return self.model.model_fields["data"].annotation is UserData


EVENT_TYPES: Final[dict[str, EventType]] = {
    each.name: each
    for each in (
        EventType(SessionEnded, Lane.ROUTINE),
        EventType(UserDisabled, Lane.URGENT),
    )
}
