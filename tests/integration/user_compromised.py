"""`user.compromised`: somebody else may have the user's credentials; every token of the user must die."""

from typing import Final, Literal

from tasks.call import Lane
from tasks.events import Event, UserData
from tasks.events.model import EventType


class UserCompromised(Event):
    """A user's credentials may be in somebody else's hands."""

    type: Literal["user.compromised"]
    data: UserData


USER_COMPROMISED: Final = EventType(UserCompromised, Lane.URGENT)
