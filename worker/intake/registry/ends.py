"""Which sessions are ended by an event. Pure: times decide, those of the events, and not the order of delivery."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from tasks.instants import after


@dataclass(frozen=True, slots=True)
class End:
    """What one source said last of a person, by one of their names, or of a session's id."""

    ended_at: datetime | None  # every session that began until then is ended
    enabled_at: datetime | None = None  # the person was enabled; never of an id

    def and_(self, other: Self) -> "End":
        """Both, in whatever order they came: of each kind the latest counts."""
        return End(_latest(self.ended_at, other.ended_at), _latest(self.enabled_at, other.enabled_at))

    def covers(self, started_at: datetime, leeway: timedelta) -> bool:
        """Whether a session that *started_at* is ended.

        Within *leeway* it counts as older: clocks differ, and many sources round to seconds. Unless the source enabled
        the person in between, which it would not say of somebody who was never disabled.
        """
        if self.ended_at is None or started_at > after(self.ended_at, leeway):
            return False
        return self.enabled_at is None or not self.ended_at < self.enabled_at <= started_at


def _latest(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((each for each in (one, other) if each is not None), default=None)
