"""Where each part of an event stands, judged by itself, and what the parts come to."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from tasks.doubt import PEOPLE
from tasks.events import USER_DISABLED
from tasks.outcome import SPARED, State
from worker.ledger import CallRow, Ledger
from worker.operations.asked_at_once import AskedAtOnce
from worker.operations.listed_calls import in_families, is_listed, is_proved_by, parents
from worker.operations.superseding import superseding, unproved
from worker.operations.text import soon

IN_PART: Final = "in_part"  # the provider did what it can do, and something lives on


class Verdict(IntEnum):
    """From the best to the worst: of several the worst counts."""

    OUT = 0
    IN_PART = 1  # the provider did what it can do, and something lives on
    ENABLED = 2  # the person may be in: a user.enabled left a call unmade, or there are sessions that nothing ended
    UNKNOWN = 3
    UNPROVED = 4  # settled on the word of an instance that is in doubt
    NOT_YET_OUT = 5


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
    def is_listed(self) -> bool:
        """Whether it is about one item of a list, and stands below the call that listed it."""
        return is_listed(self.row)

    @property
    def state(self) -> str:
        """The state of its call; IN_PART where that succeeded, and something lives on."""
        return IN_PART if self.verdict is Verdict.IN_PART else self.row.state

    @property
    def told(self) -> str | None:
        """How its state is known; else why it failed."""
        return self.row.detail.get("evidence") or self.row.reason

    @property
    def evidence(self) -> str | None:
        """How its state is known, and what lives on all the same."""
        lives = lives_on(self.row)
        return f"{self.told or self.row.state}; leaves alive: {lives}" if lives else self.told

    @property
    def next_attempt(self) -> str:
        """How soon the next attempt is; empty where none is to come."""
        return "" if self.is_out else soon(self.row.next_attempt_at)


def standings_of(ledger: Ledger, rows: Sequence[CallRow]) -> list[Standing]:
    """Return where each of *rows* stands, judged by itself. Of a replayed part that became calls those are taken."""
    known = AskedAtOnce(ledger, rows)
    is_superseded, is_unproved, parent_of = superseding(known), unproved(known), parents(rows)

    def verdict(row: CallRow) -> Verdict:
        if row.state in SPARED:  # until the user is disabled once more, and that call is proved
            return Verdict.OUT if is_superseded(row) or _is_disabled_again(row, rows) else Verdict.ENABLED
        if lives_on(row):
            return Verdict.IN_PART
        doubtful = is_unproved(row)
        if (row.state.is_settled and not doubtful) or is_proved_by(parent_of(row)) or is_superseded(row):
            return Verdict.OUT
        return Verdict.UNPROVED if doubtful else Verdict.NOT_YET_OUT

    calls = [row for row in rows if row.kind == "call"]
    replayed = (row for row in rows if row.kind != "call" and row.state is State.REPLAYED)
    became_calls = [row for row in replayed if any(_came_of(call, row) for call in calls)]
    return [Standing(row, verdict(row)) for row in in_families(rows) if row not in became_calls]


def verdict_on(standings: Sequence[Standing], unknown: str = "no event names such a person") -> tuple[Verdict, str]:
    """What *standings*, all of one subject or event, come to: the worst of them, and a line that says where and why.

    *unknown* is why nothing is known where there are none.
    """
    verdict = max((each.verdict for each in standings), default=Verdict.UNKNOWN)
    match verdict:
        case Verdict.OUT:
            return verdict, f"OUT everywhere{_without_session(standings)}"
        case Verdict.IN_PART:
            parts = (each.row for each in standings if each.verdict is verdict)
            told = sorted({f"{row.provider} leaves alive: {lives_on(row)}" for row in parts})
            return verdict, f"OUT IN PART: {'; '.join(told)}"
        case Verdict.ENABLED:
            where = _providers_of(standings, verdict)
            return verdict, f"ENABLED AGAIN at {where}: by a later user.enabled this person may be logged in"
        case Verdict.UNPROVED:
            return verdict, f"UNPROVED: {_whom_to_doubt(standings)}"
        case Verdict.NOT_YET_OUT:
            left = [each for each in standings if each.verdict is verdict]
            several = len({each.row.subject for each in standings}) > 1
            return verdict, f"NOT YET OUT: {', '.join(dict.fromkeys(_line(each, named=several) for each in left))}"
        case _:
            return verdict, f"UNKNOWN: {unknown}"


def lives_on(row: CallRow) -> str | None:
    """Return what lives on although the provider did what *row* asked for; None where nothing is known to."""
    return row.detail.get("partial") if row.state in {State.ACCEPTED, State.CONFIRMED} else None


def _came_of(call: CallRow, letter: CallRow) -> bool:
    """Whether *call* is of the same part of the event as *letter*, its provider's or the whole, and came later.

    A call made before proves nothing about the replay, which may die again.
    """
    is_part = letter.provider in {call.provider, None}
    return is_part and (call.source, call.event_id) == (letter.source, letter.event_id) and call.is_since(letter)


def _is_disabled_again(enabled: CallRow, rows: Sequence[CallRow]) -> bool:
    """Whether a later event of the same source disabled the same person, and *rows* tell what came of that there.

    Where nothing is known by which calls could be compared; else it takes a call that is proved.
    """
    if enabled.state is not State.ENABLED or enabled.target is not None or enabled.occurred_at is None:
        return False
    whose = enabled.source, enabled.provider, enabled.person
    later = (row for row in rows if row.occurred_at is not None and row.occurred_at > enabled.occurred_at)
    told = (row for row in later if row.event_type == USER_DISABLED and row.state not in SPARED)
    return enabled.person is not None and any((row.source, row.provider, row.person) == whose for row in told)


def _without_session(standings: Sequence[Standing]) -> str:
    unknown = sorted({str(each.row.provider) for each in standings if each.row.state is State.NO_SESSION_KNOWN})
    return f" (no session was known at {', '.join(unknown)})" if unknown else ""


def _whom_to_doubt(standings: Sequence[Standing]) -> str:
    return (
        f"{_providers_of(standings, Verdict.UNPROVED)} called this token dead already, and those of at least {PEOPLE} "
        "people around that time, and accepted none: is it the right organization and region, and does anything in "
        "between change tokens?"
    )


def _providers_of(standings: Sequence[Standing], verdict: Verdict) -> str:
    return ", ".join(sorted({str(each.row.provider) for each in standings if each.verdict is verdict}))


def _line(standing: Standing, *, named: bool) -> str:
    row = standing.row
    whom = f"{row.subject} at " if named else ""
    reason = f" ({row.reason})" if row.reason else ""
    soon = f", next attempt {standing.next_attempt}" if standing.next_attempt else ""
    return f"{whom}{row.provider or 'the whole event'} {row.state.value}{reason}{soon}"
