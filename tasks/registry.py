"""What the session registry knows for one event: an input of planning, which itself looks nothing up."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tasks.events.model import Session


@dataclass(frozen=True, slots=True)
class Registered:
    """Sessions that concern an event, each sealed as its producer sealed it, and what else decides its plan.

    Of a `user.disabled`: the user's sessions that are older than it. Of a `session.ended` with ids: those of the ids.
    Of a `session.started`: those of its own that must not live, because what ends them came before.
    """

    sessions: tuple[Session, ...] = ()
    ended_at: datetime | None = None  # of a `session.started`: when that happened
    refused: tuple[Session, ...] = ()  # likewise: for which there was no room
    too_long: tuple[Session, ...] = ()  # likewise: which live longer than anything is kept
    unreadable: tuple[str, ...] = ()  # providers of sessions that are ended, and whose credentials cannot be decrypted
    was_ended: bool = False  # of ids: one of them was ended before, so its credentials may be gone


NOTHING_REGISTERED: Final = Registered()
