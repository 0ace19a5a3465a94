"""What `revoker explain` concludes: where each part stands, and whether somebody is out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum

from tasks.doubt import PEOPLE
from tasks.outcome import State
from worker.cli.output import short_duration
from worker.ledger import CallRow


class Verdict(IntEnum):
    """From the best to the worst: of several the worst counts."""

    OUT = 0
    UNKNOWN = 1
    UNPROVED = 2  # settled on the word of an instance that is in doubt
    NOT_YET_OUT = 3


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one part of one event stands, and what that says of the token it is about."""

    row: CallRow
    verdict: Verdict

    @property
    def is_out(self) -> bool:
        """Whether the token is known to be dead, or known to need no call."""
        return self.verdict is Verdict.OUT

    @property
    def next_attempt(self) -> str:
        """How soon the next attempt is; empty where none is to come."""
        if self.is_out or self.row.next_attempt_at is None:
            return ""
        return f"in {short_duration(self.row.next_attempt_at - datetime.now(UTC))}"

    @property
    def evidence(self) -> str:
        """How we know: what the provider answered, else why it is not done."""
        return self.row.detail.get("evidence") or self.row.reason or ""

    @property
    def time_to_revoke(self) -> str:
        """From the event's time to the settled state."""
        seconds = self.row.exposure_seconds
        return "" if seconds is None else f"{seconds:.2f}s"


def judged(
    rows: Sequence[CallRow], is_superseded: Callable[[CallRow], bool], is_unproved: Callable[[CallRow], bool]
) -> list[Standing]:
    """Where each of *rows* stands, each judged by itself. A replayed part that became calls is told by these."""
    calls = [row for row in rows if row.kind == "call"]
    left = (row for row in rows if not (_is_replayed(row) and any(_came_of(call, row) for call in calls)))
    return [Standing(row, _verdict(row, is_superseded, is_unproved)) for row in left]


def verdict_on(standings: Sequence[Standing], unknown: str = "no event names such a person") -> tuple[Verdict, str]:
    """What *standings*, all of one subject or event, come to: the worst of them, and a line that says where and why.

    *unknown* is why nothing is known where there are none.
    """
    verdict = max((each.verdict for each in standings), default=Verdict.UNKNOWN)
    match verdict:
        case Verdict.OUT:
            return verdict, f"OUT everywhere{_without_session(standings)}"
        case Verdict.UNPROVED:
            return verdict, f"UNPROVED: {_whom_to_doubt(standings)}"
        case Verdict.NOT_YET_OUT:
            left = [each for each in standings if each.verdict is verdict]
            several = len({each.row.subject for each in standings}) > 1
            return verdict, f"NOT YET OUT: {', '.join(dict.fromkeys(_why(each, named=several) for each in left))}"
        case _:
            return verdict, f"UNKNOWN: {unknown}"


def _verdict(row: CallRow, is_superseded: Callable[[CallRow], bool], is_unproved: Callable[[CallRow], bool]) -> Verdict:
    if is_unproved(row):
        return Verdict.OUT if is_superseded(row) else Verdict.UNPROVED
    return Verdict.OUT if row.state.is_settled or is_superseded(row) else Verdict.NOT_YET_OUT


def _whom_to_doubt(standings: Sequence[Standing]) -> str:
    names = sorted({str(each.row.provider) for each in standings if each.verdict is Verdict.UNPROVED})
    return (
        f"{', '.join(names)} called this token dead already, and those of at least {PEOPLE} people around that time, "
        "and accepted none: is it the right organization and region, and does anything in between change tokens?"
    )


def _is_replayed(row: CallRow) -> bool:
    """Whether *row*, which never became a call, got another try."""
    return row.kind != "call" and row.state is State.REPLAYED


def _came_of(call: CallRow, letter: CallRow) -> bool:
    """Whether *call* is of the part of the event that *letter* tells of, its provider's or the whole, and came later.

    One that was made before tells nothing of the replay, which may die again.
    """
    is_part = letter.provider in {call.provider, None}
    return is_part and (call.source, call.event_id) == (letter.source, letter.event_id) and call.is_since(letter)


def _without_session(standings: Sequence[Standing]) -> str:
    unknown = sorted({str(each.row.provider) for each in standings if each.row.state is State.NO_SESSION_KNOWN})
    return f" (no session was known at {', '.join(unknown)})" if unknown else ""


def _why(standing: Standing, *, named: bool) -> str:
    row = standing.row
    whom = f"{row.subject} at " if named else ""
    reason = f" ({row.reason})" if row.reason else ""
    soon = f", next attempt {standing.next_attempt}" if standing.next_attempt else ""
    return f"{whom}{row.provider or 'the whole event'} {row.state.value}{reason}{soon}"
