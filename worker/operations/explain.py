"""Whether a person is out, everywhere: where each part of their events stands, and what that comes to."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import IntEnum

from tasks.doubt import PEOPLE
from tasks.names import mask
from tasks.outcome import State
from worker.ledger import CallRow, Ledger
from worker.operations.superseding import superseding, unproved
from worker.operations.text import short_duration
from worker.settings import Settings


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


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What is known of the argument, taken for one thing that it may be."""

    about: Mapping[str, str | None]
    taken_for: str
    standings: Sequence[Standing]
    verdict: Verdict
    text: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Every answer there is; the worst verdict counts."""

    answers: Sequence[Conclusion]

    @property
    def worst(self) -> Conclusion:
        """The answer that counts."""
        return max(self.answers, key=lambda each: each.verdict)

    @property
    def standings(self) -> list[Standing]:
        """Where every part stands, each once."""
        every = (each for answer in self.answers for each in answer.standings)
        return list({(each.row.call_id, each.row.dead_letter_id): each for each in every}.values())

    @property
    def open_providers(self) -> set[str]:
        """The providers where somebody is not out."""
        return {str(each.row.provider) for each in self.standings if not each.is_out}


def explain(
    settings: Settings, ledger: Ledger, whom: str, source: str | None = None, *, is_event: bool = False
) -> Explanation:
    """Return what is known of *whom*: a person's name, or (*is_event*) an event's id, of *source* or of any."""
    found = _of_event(ledger, whom, source) if is_event else list(_of_anything(settings, ledger, whom))
    return Explanation(found)


def standings_of(ledger: Ledger, rows: Sequence[CallRow]) -> list[Standing]:
    """Return where each of *rows* stands, judged by itself. Of a replayed part that became calls those are taken."""
    is_superseded, is_unproved = superseding(ledger), unproved(ledger)

    def verdict(row: CallRow) -> Verdict:
        doubtful = is_unproved(row)
        if (row.state.is_settled and not doubtful) or is_superseded(row):
            return Verdict.OUT
        return Verdict.UNPROVED if doubtful else Verdict.NOT_YET_OUT

    calls = [row for row in rows if row.kind == "call"]
    replayed = (row for row in rows if row.kind != "call" and row.state is State.REPLAYED)
    became_calls = [row for row in replayed if any(_came_of(call, row) for call in calls)]
    return [Standing(row, verdict(row)) for row in rows if row not in became_calls]


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
            return verdict, f"NOT YET OUT: {', '.join(dict.fromkeys(_line(each, named=several) for each in left))}"
        case _:
            return verdict, f"UNKNOWN: {unknown}"


def _of_anything(settings: Settings, ledger: Ledger, whom: str) -> Iterator[Conclusion]:
    """*whom* as the name of a person first; then as whatever else it is known for.

    What is no person's name can make the verdict worse, and never OUT: anybody chooses an event's id.
    """
    index, masked = settings.subjects(), mask(whom)
    people = ledger.calls_of_subject(index.lookup(whom))
    yield _answer(ledger, {"subject": masked}, "a person", people)
    if labelled := ledger.calls_of_subject(index.label(whom)):
        yield _never_out(_answer(ledger, {"label": masked}, "a tenant, device, group or `subject`", labelled))
    yield from map(_never_out, _of_events(ledger, whom))


def _of_event(ledger: Ledger, event_id: str, source: str | None) -> list[Conclusion]:
    asked = {"event_id": event_id, **({"source": source} if source else {})}
    nothing = Conclusion(asked, "an event's id", (), *verdict_on((), "no event has this id"))
    return list(_of_events(ledger, event_id, source)) or [nothing]


def _of_events(ledger: Ledger, event_id: str, source: str | None = None) -> Iterator[Conclusion]:
    """One for each source: an id is its source's own."""
    rows = ledger.calls_of_event(event_id, source)
    for each in dict.fromkeys(row.source for row in rows):
        about, taken_for = {"event_id": event_id, "source": each}, f"an event of {each or 'an unknown source'}"
        yield _answer(ledger, about, taken_for, [row for row in rows if row.source == each])


def _answer(ledger: Ledger, about: Mapping[str, str | None], taken_for: str, rows: Sequence[CallRow]) -> Conclusion:
    standings = standings_of(ledger, rows)
    return Conclusion(about, taken_for, standings, *verdict_on(standings))


def _never_out(answer: Conclusion) -> Conclusion:
    """*answer* where a person was asked for: it does not say that somebody is out."""
    return replace(answer, text="every part is settled") if answer.verdict is Verdict.OUT else answer


def _came_of(call: CallRow, letter: CallRow) -> bool:
    """Whether *call* is of the same part of the event as *letter*, its provider's or the whole, and came later.

    A call made before proves nothing about the replay, which may die again.
    """
    is_part = letter.provider in {call.provider, None}
    return is_part and (call.source, call.event_id) == (letter.source, letter.event_id) and call.is_since(letter)


def _without_session(standings: Sequence[Standing]) -> str:
    unknown = sorted({str(each.row.provider) for each in standings if each.row.state is State.NO_SESSION_KNOWN})
    return f" (no session was known at {', '.join(unknown)})" if unknown else ""


def _whom_to_doubt(standings: Sequence[Standing]) -> str:
    names = sorted({str(each.row.provider) for each in standings if each.verdict is Verdict.UNPROVED})
    return (
        f"{', '.join(names)} called this token dead already, and those of at least {PEOPLE} people around that time, "
        "and accepted none: is it the right organization and region, and does anything in between change tokens?"
    )


def _line(standing: Standing, *, named: bool) -> str:
    row = standing.row
    whom = f"{row.subject} at " if named else ""
    reason = f" ({row.reason})" if row.reason else ""
    soon = f", next attempt {standing.next_attempt}" if standing.next_attempt else ""
    return f"{whom}{row.provider or 'the whole event'} {row.state.value}{reason}{soon}"
