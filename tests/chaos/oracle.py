"""The oracle: what was lost, doubled, invented, buried without a word, or left behind.

As Jepsen's total-queue checker asks (https://github.com/jepsen-io/jepsen, `checker/total-queue`): what was confirmed
must come out, what comes out must have gone in. The judge is the *provider's* journal, and who still lives in its
token store; the worker's own words, the ledger and what `revoker explain` concludes, are only held against them.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from chaos.load import Unit
from tasks.outcome import State
from tasks.providers import operations
from worker.ledger import CallRow

OPERATIONS: Final = frozenset(operations())
# Parts of an event that need no call, hence no unit; and refusals that were replayed: what came of it has its own row.
BURIED: Final = (State.DEAD, State.DISCARDED)  # a strange message ends as a dead letter, whatever becomes of that
NO_CALL: Final = (State.COVERED, State.NO_SESSION_KNOWN, State.REPLAYED)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What everybody says after the drain."""

    units: Sequence[Unit]
    confirmed: frozenset[str]  # P: event ids the broker took
    unknown: frozenset[str] = frozenset()  # U: event ids of which the publisher cannot know
    journal: Sequence[Mapping[str, Any]] = ()  # every request the providers saw, in order
    ledger: Sequence[CallRow] = ()  # every call and every dead letter of none
    queues: Mapping[str, int] = field(default_factory=dict)  # messages, ready, held and delayed
    told_out: frozenset[str] = frozenset()  # event ids of which `revoker explain` says that all is out
    gone: frozenset[tuple[str, str]] = frozenset()  # provider and key of what opens no door there any more
    strangers: int = 0  # messages published that are no events of the load, each of which must be a dead letter


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a row may do without harm."""

    duplicates: int = 0  # calls for a token that was dead already
    reasons: frozenset[str] = frozenset()  # of its dead letters
    strange_reasons: frozenset[str] = frozenset()  # of those of strangers
    doubted: frozenset[str] = frozenset()  # providers whose word nobody may believe: told out is all that is judged


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong, a line each; and the figures of the table."""

    lost: Sequence[str]  # confirmed, and neither dead at the provider and settled, nor a dead letter
    unexpected: Sequence[str]  # settled or dead, and never published; or twice in the ledger
    living: Sequence[str]  # told out, and the provider's store still opens a door for it
    contradicted: Sequence[str]  # both settled and dead, or the ledger says what the journal does not
    undead: Sequence[str]  # dead letters without a reason, or with one that the row does not script
    leftover: Sequence[str]  # queues that are not empty
    duplicates: int
    duplicates_bound: int
    dead: Mapping[str, int]  # reason → dead letters

    @property
    def faults(self) -> list[str]:
        """Every violation as a sentence; none: the row has passed."""
        names = ("lost", "unexpected", "contradicted", "undead", "leftover")
        lines = [f"{name}: {each}" for name in names for each in getattr(self, name)]
        lines += [f"told out but living: {each}" for each in self.living]
        if self.duplicates > self.duplicates_bound:
            lines.append(f"duplicated: {self.duplicates} calls, at most {self.duplicates_bound} are allowed")
        return lines


def judge(evidence: Evidence, allowed: Allowance) -> Verdict:
    """Hold the parties' words against each other."""
    wanted = {(unit.event_id, unit.provider): unit for unit in evidence.units}
    rows = [row for row in evidence.ledger if row.state not in NO_CALL]
    known = [row for row in rows if (row.event_id, row.provider) in wanted]
    strange = [row for row in rows if (row.event_id, row.provider) not in wanted]
    settled = {wanted[row.event_id or "", row.provider or ""] for row in known if row.state.is_settled}
    dead = {wanted[row.event_id or "", row.provider or ""] for row in known if row.state is State.DEAD}
    revoked = {entry["key"] for entry in evidence.journal if entry["revoked"]}
    gone = revoked | {key for _, key in evidence.gone}  # some die by themselves
    done = {unit for unit in settled if unit.key in gone}
    closed = done | dead
    judged = [unit for unit in evidence.units if unit.provider not in allowed.doubted]
    missing = [unit for unit in judged if unit.event_id in evidence.confirmed and unit not in closed]
    return Verdict(
        lost=[*map(_told, missing), *_lost_strangers(strange, evidence.strangers)],
        unexpected=[*_unexpected(evidence, known, revoked), *_invented(strange, evidence.strangers)],
        living=[_told(unit) for unit in evidence.units if _is_told_out_but_living(unit, evidence)],
        contradicted=_contradictions(settled & set(judged), dead, gone),
        undead=[*_undead(known, allowed.reasons), *_undead(strange, allowed.strange_reasons)],
        leftover=[f"{count} in {queue}" for queue, count in sorted(evidence.queues.items()) if count],
        duplicates=duplicates(evidence.journal),
        duplicates_bound=allowed.duplicates,
        dead=Counter(row.reason or "" for row in rows if row.state is State.DEAD),
    )


def duplicates(journal: Iterable[Mapping[str, Any]]) -> int:
    """Calls for a token or user that an earlier call had killed already."""
    killed: set[str] = set()
    count = 0
    for entry in journal:
        if entry["operation"] in OPERATIONS:
            count += entry["key"] in killed
            if entry["revoked"]:
                killed.add(entry["key"])
    return count


def _is_told_out_but_living(unit: Unit, evidence: Evidence) -> bool:
    return unit.event_id in evidence.told_out and (unit.provider, unit.key) not in evidence.gone


def _unexpected(evidence: Evidence, known: Sequence[CallRow], revoked: set[str]) -> Iterable[str]:
    published = evidence.confirmed | evidence.unknown
    asked = {unit.key for unit in evidence.units if unit.event_id in published}
    yield from (f"{key} was revoked and nobody asked for it" for key in sorted(revoked - asked))
    rows = Counter((row.event_id, row.provider) for row in known)
    yield from (f"{event} has {count} rows for {provider}" for (event, provider), count in rows.items() if count > 1)
    yield from (f"{event} is in the ledger and was never published" for event, _ in rows if event not in published)


def _contradictions(settled: set[Unit], dead: set[Unit], gone: set[str]) -> list[str]:
    return [
        *(f"{_told(unit)} is both settled and dead" for unit in settled & dead),
        *(f"{_told(unit)} is settled, and alive at the provider" for unit in settled if unit.key not in gone),
    ]


def _lost_strangers(strange: Sequence[CallRow], published: int) -> list[str]:
    found = sum(row.state in BURIED for row in strange)
    return [f"{published - found} of {published} strange messages"] if found < published else []


def _invented(strange: Sequence[CallRow], published: int) -> list[str]:
    """Rows of nobody's event; of strange messages there may be as many dead letters as were published."""
    alive = [f"{row.kind} {row.event_id} {row.provider} is {row.state}" for row in strange if row.state not in BURIED]
    more = len(strange) - len(alive) - published
    return [*alive, *([f"{more} dead letters of nobody's message"] if more > 0 else [])]


def _undead(rows: Iterable[CallRow], reasons: frozenset[str]) -> list[str]:
    return [
        f"{row.kind} {row.event_id} {row.provider} is dead for {row.reason or 'no reason'}"
        for row in rows
        if row.state is State.DEAD and (not row.reason or row.reason not in reasons)
    ]


def _told(unit: Unit) -> str:
    return f"{unit.event_id} at {unit.provider}"
