"""Events that end one session by its id: the session registry knows its tokens, the door does not."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self

from pydantic import Field, model_validator

from tasks.doors.door import ForeignEvent
from tasks.doors.settings import CommonDoorSettings
from tasks.events import SESSION_ENDED


class SessionDoorSettings(CommonDoorSettings):
    """The settings of a kind whose sender may tell of one session alone."""

    ends_sessions: bool = Field(
        default=False,
        description="The end of one session ends the tokens that the session registry has of it; needs "
        "`registry.enabled`",
    )

    @model_validator(mode="after")
    def _ends_one_of_both(self) -> Self:
        if self.ends_sessions and getattr(self, "ends_whole_user", False):
            raise ValueError("set ends_sessions or ends_whole_user, and not both")
        return self


def session_ended(
    foreign_id: str, at: datetime, session: tuple[str, str], reason: str, sub_id: Mapping[str, Any] | None = None
) -> ForeignEvent:
    """Return that the *session*, an issuer and an id, ended; *sub_id* is whose it was, where that was told."""
    data: dict[str, Any] = {"session_ids": [session[1]], "session_issuer": session[0], "reason": reason}
    return ForeignEvent(SESSION_ENDED, foreign_id, at, data | ({"sub_id": sub_id} if sub_id else {}))
