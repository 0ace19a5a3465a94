"""Whether a person is out, everywhere: where each part of their events stands, and what that comes to."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from tasks.doubt import KNOWS_LIVING
from tasks.names import mask
from tasks.outcome import State
from worker.intake.registry import store as registered
from worker.ledger import AttemptRow, CallRow, Ledger
from worker.ledger.queries import SURE
from worker.ledger.subject_calls import Counts
from worker.operations.standings import Standing, Verdict, standings_of, verdict_on
from worker.operations.text import counted
from worker.settings import Settings

PARTS: Final = 300  # of one name that are looked at, and as many refused ones: first what is not settled beyond doubt
_ANSWERED: Final = KNOWS_LIVING | {State.ALREADY_REVOKED}  # by an attempt that settled the call


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What is known of the argument, taken for one thing that it may be."""

    about: Mapping[str, str | None]
    taken_for: str
    standings: Sequence[Standing]
    verdict: Verdict
    text: str
    is_cut: bool = False  # not every part of it is among the standings
    counts: Counts | None = None  # where it is cut: of all its calls, by provider and state; None: nobody counted them


@dataclass(frozen=True, slots=True)
class Explanation:
    """Every answer there is; the worst verdict counts."""

    answers: Sequence[Conclusion]
    failed_attempts: Mapping[str, Sequence[AttemptRow]] = field(default_factory=dict)  # by call id
    open_sessions: Mapping[str, int] | None = None  # of the person, by provider; None: there is no session registry

    @property
    def registry(self) -> list[str]:
        """What the session registry knows of the person, in words; nothing where there is none."""
        if self.open_sessions is None:
            return []
        known = ", ".join(f"{counted(count)} at {name}" for name, count in sorted(self.open_sessions.items()))
        return [f"session registry: {f'open sessions: {known}' if known else 'no session is open'}"]

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
    def cuts(self) -> list[str]:
        """Of each answer that is cut: how much of it is shown, and how many calls there are in which state."""
        return [_how_much(answer) for answer in self.answers if answer.is_cut]

    @property
    def is_cut(self) -> bool:
        """Whether there is more than PARTS of something: then the rest is settled beyond doubt, or not looked at."""
        return any(answer.is_cut for answer in self.answers)

    def attempts_at(self, standing: Standing) -> list[AttemptRow]:
        """Return the attempts at a call in their order; the one that settled it has no reason."""
        row = standing.row
        failed = list(self.failed_attempts.get(row.call_id or "", ()))
        if row.state not in _ANSWERED or row.call_id is None or row.at is None:
            return failed
        return [*failed, AttemptRow(row.call_id, row.replays, row.attempt, row.at, None, row.detail, row.duration_ms)]

    @property
    def open_providers(self) -> set[str]:
        """The providers where somebody is not out."""
        return {str(each.row.provider) for each in self.standings if not each.is_out}


def explain(
    settings: Settings, ledger: Ledger, whom: str, source: str | None = None, *, is_event: bool = False
) -> Explanation:
    """Return what is known of *whom*: a person's name, an event's id or a call's id.

    *is_event*: of the event with this id alone, of *source* or of any.
    """
    found = _of_event(ledger, whom, source) if is_event else list(_of_anything(settings, ledger, whom))
    known = None if is_event or not settings.registry.enabled else _open_sessions(settings, ledger, whom)
    explanation = Explanation([_logged_in_again(each) for each in found] if known else found, open_sessions=known)
    return replace(explanation, failed_attempts=_failed_attempts(ledger, explanation.standings))


def _open_sessions(settings: Settings, ledger: Ledger, whom: str) -> Mapping[str, int]:
    return registered.open_sessions(ledger.database, settings.subjects().lookups(whom))


def _logged_in_again(answer: Conclusion) -> Conclusion:
    """*answer* of somebody who has sessions that nothing ended: everything else may be out, the person is not."""
    if answer.verdict is not Verdict.OUT:
        return answer
    text = "LOGGED IN AGAIN: what was ended is out, but the session registry has sessions that nothing ended"
    return replace(answer, verdict=Verdict.ENABLED, text=text)


def _of_anything(settings: Settings, ledger: Ledger, whom: str) -> Iterator[Conclusion]:
    """*whom* as the name of a person first; then as whatever else it is known for.

    What is no person's name can make the verdict worse, and never OUT: anybody chooses an event's id. A call's id is
    ours: nobody can choose one. So it answers alone where nobody has that name.
    """
    index, masked = settings.subjects(), mask(whom)
    lookups, label = index.lookups(whom), index.label(whom)
    people = ledger.calls_of_subject(*lookups, limit=PARTS)
    calls = ledger.calls_of_id(whom.strip().lower())
    if people or not calls:
        yield _counted(ledger, _answer(ledger, {"subject": masked}, "a person", people), lookups)
    if labelled := ledger.calls_of_subject(label, limit=PARTS):
        answer = _answer(ledger, {"label": masked}, "a tenant, device, group or `subject`", labelled)
        yield _never_out(_counted(ledger, answer, (label,)))
    yield from map(_never_out, _of_events(ledger, whom))
    yield from (_of_call(ledger, each) for each in calls)


def _of_call(ledger: Ledger, row: CallRow) -> Conclusion:
    """One call, which says nothing of other providers."""
    answer = _answer(ledger, {"call_id": row.call_id}, f"a call at {row.provider}", [row])
    text = f"OUT at {row.provider}, as far as this call goes"
    return replace(answer, text=text) if answer.verdict is Verdict.OUT else answer


def _of_event(ledger: Ledger, event_id: str, source: str | None) -> list[Conclusion]:
    asked = {"event_id": event_id, **({"source": source} if source else {})}
    nothing = Conclusion(asked, "an event's id", (), *verdict_on((), "no event has this id"))
    return list(_of_events(ledger, event_id, source)) or [nothing]


def _of_events(ledger: Ledger, event_id: str, source: str | None = None) -> Iterator[Conclusion]:
    """One for each source: an id is its source's own."""
    rows = ledger.calls_of_event(event_id, source, PARTS)
    for each in dict.fromkeys(row.source for row in rows):
        about, taken_for = {"event_id": event_id, "source": each}, f"an event of {each or 'an unknown source'}"
        answer = _answer(ledger, about, taken_for, [row for row in rows if row.source == each])
        yield answer if _is_decided(rows) else _undecided(answer)


def _answer(ledger: Ledger, about: Mapping[str, str | None], taken_for: str, rows: Sequence[CallRow]) -> Conclusion:
    standings = standings_of(ledger, rows)
    answer = Conclusion(about, taken_for, standings, *verdict_on(standings), is_cut=len(rows) >= PARTS)
    return answer if _is_decided(rows) else _undecided(answer)


def _counted(ledger: Ledger, answer: Conclusion, lookups: Collection[str]) -> Conclusion:
    """*answer*, with how many calls the name has that finds *lookups* where not all of them are shown."""
    return replace(answer, counts=ledger.counts_of_subject(*lookups)) if answer.is_cut else answer


def _is_decided(rows: Sequence[CallRow]) -> bool:
    """Whether everything that may not be out is among *rows*: first comes what is not settled beyond doubt."""
    calls = [row for row in rows if row.kind == "call"]
    return len(rows) - len(calls) < PARTS and (len(calls) < PARTS or any(row.state in SURE for row in calls))


def _undecided(answer: Conclusion) -> Conclusion:
    """*answer* where there is more that may not be out: OUT is not proved."""
    if answer.verdict is not Verdict.OUT:
        return answer
    text = f"UNPROVED: of more than {PARTS} parts that may not be out only these were looked at: ask for one event"
    return replace(answer, verdict=Verdict.UNPROVED, text=text)


def _failed_attempts(ledger: Ledger, standings: Sequence[Standing]) -> dict[str, list[AttemptRow]]:
    """The attempts that failed, by call id; a call that was settled at once has none."""
    rows = (each.row for each in standings)
    tried = [
        row.call_id for row in rows if row.call_id and (row.attempt > 1 or row.replays or not row.state.is_settled)
    ]
    found: dict[str, list[AttemptRow]] = {}
    for attempt in ledger.failed_attempts(tried) if tried else ():
        found.setdefault(attempt.call_id, []).append(attempt)
    return found


def _never_out(answer: Conclusion) -> Conclusion:
    """*answer* where a person was asked for: it does not say that somebody is out."""
    return replace(answer, text="every part is settled") if answer.verdict is Verdict.OUT else answer


def _how_much(answer: Conclusion) -> str:
    """How much of *answer* is shown, and what all of it has come to."""
    shown = f"as {answer.taken_for}: shown are {counted(len(answer.standings))}"
    order = "what is not settled beyond doubt comes first, then the newest"
    if answer.counts is None:
        return f"{shown} parts of many more, which were not counted: {order}"
    calls = ", ".join(f"{name} {counted(count)} {state}" for (name, state), count in sorted(answer.counts.items()))
    return f"{shown} parts of {counted(sum(answer.counts.values()))} calls ({calls}): {order}"
