"""Where each provider stands, all parts of somebody's events together: the first thing that is asked."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from tasks.outcome import State
from worker.operations.standings import IN_PART, Standing, Verdict

PARTIAL: Final = "partial"  # some parts are out, and some are not
UNPROVED: Final = "unproved"  # settled on the word of an instance that is in doubt

# Of parts that are out the weakest proof counts, of others what needs somebody most: the first here.
_WEAKEST: Final = (
    *(State.NO_SESSION_KNOWN, State.EXPIRED, State.COVERED, State.ALREADY_REVOKED, State.ACCEPTED, State.CONFIRMED),
    *(State.SUPERSEDED, State.ENABLED),
)
_WORST: Final = (
    *(State.DEAD, State.DISCARDED, State.HELD, State.RETRYING, State.PLANNED, State.REPLAYED),
    State.ENABLED,
)
_NEVER: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ProviderStanding:
    """Where one provider stands; *provider* is None for events that were refused as a whole."""

    provider: str | None
    state: str  # as of its parts, or PARTIAL, or UNPROVED
    parts: int
    out: int  # of these
    told_by: Standing  # the part that decides
    next_attempt_at: datetime | None  # the soonest

    @property
    def is_out(self) -> bool:
        """Whether every part is."""
        return self.out == self.parts


def by_provider(standings: Iterable[Standing]) -> list[ProviderStanding]:
    """Return where each provider of *standings* stands, by name."""
    parts: dict[str | None, list[Standing]] = {}
    for each in standings:
        parts.setdefault(each.row.provider, []).append(each)
    return [_together(name, parts[name]) for name in sorted(parts, key=str)]


def _together(provider: str | None, parts: Sequence[Standing]) -> ProviderStanding:
    left = [each for each in parts if not each.is_out]
    told_by = min(left or parts, key=_order)
    out = len(parts) - len(left)
    state = PARTIAL if left and out and told_by.verdict is not Verdict.ENABLED else state_of(told_by)
    times = [each.row.next_attempt_at for each in left if each.row.next_attempt_at]
    return ProviderStanding(provider, state, len(parts), out, told_by, min(times, default=None))


def state_of(part: Standing) -> str:
    """The state of one part; of what failed, and needs no call any more because a later one killed the same, too."""
    if part.verdict is Verdict.UNPROVED:
        return UNPROVED
    if part.verdict is Verdict.ENABLED:  # whatever its call came to: nothing was killed for it
        return State.ENABLED
    return State.SUPERSEDED if part.is_out and not part.row.state.is_settled else part.state


def _order(part: Standing) -> tuple[int, float]:
    """What decides comes first: by its state, then the newest."""
    order = [str(each) for each in (_WEAKEST if part.is_out else (UNPROVED, *_WORST, IN_PART))]
    state = state_of(part)
    place = order.index(state) if state in order else len(order)
    return place, -(part.row.occurred_at or _NEVER).timestamp()
