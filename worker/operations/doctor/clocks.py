"""Clocks: ours, compared with what another machine says of the time."""

from datetime import datetime, timedelta
from typing import Final

from worker.operations.doctor.findings import Finding

# Events of a clock that is five minutes ahead of ours come from the future, and are refused (`event.invalid_time`).
TOLERATED: Final = timedelta(minutes=5)
NOTICED: Final = timedelta(seconds=30)


def skew_finding(
    check: str, theirs: datetime, asked: tuple[datetime, datetime], about: str = "", precision: float = 0.0
) -> Finding:
    """Whether *theirs*, which is cut to *precision* seconds, fits our time between asking and hearing it."""
    before, after = asked
    ahead = max(timedelta(), theirs - after)
    behind = max(timedelta(), before - theirs - timedelta(seconds=precision))
    skew = max(ahead, behind)
    told = f"{skew.total_seconds():.0f} s {'ahead of' if ahead else 'behind'} ours"
    if skew > TOLERATED:
        return Finding(check, "failed", told, about=about)
    if skew > NOTICED:
        return Finding(check, "warning", told, about=about)
    return Finding(check, "ok", "agrees with ours", about=about)
