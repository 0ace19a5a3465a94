"""Dead letters as lines of JSON: taken out of a ledger, and put on the desk of this or of another one, still sealed."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Final

from tasks.records import DeadLetter
from worker.broker.provenance import LetterMac, ProvenanceMac
from worker.ledger import AuditEntry, DeadLetterRow, DeadLetterState, Ledger, Operator
from worker.ledger.ledger import in_pages
from worker.operations import RefusedRequest
from worker.operations.dead_letters import Selection
from worker.operations.replay_rules import Refusal
from worker.settings import Settings

SCHEMA: Final = "revoker.exported_dead_letter/1"
PAGE: Final = 100  # dead letters in memory: 18 MB at most
MAX_LINE: Final = 1024 * 1024  # characters; the longest that an export writes has a fifth of it

Lines = Callable[[], Iterable[str]]  # the lines of a file, each time from its beginning


@dataclass(frozen=True, slots=True)
class PlannedImport:
    """What an import would put on the desk. Nothing has happened yet."""

    lines: Lines
    new: int
    known: int  # on the desk already, in whatever state: they stay as they are
    refused: Mapping[str, int]  # by reason of refusal
    scope: str


def export(
    settings: Settings, ledger: Ledger, selection: Selection, states: tuple[DeadLetterState, ...]
) -> Iterator[dict[str, Any]]:
    """Return what is selected in one of *states* whole, oldest death first, read as it is needed.

    Tokens are as sealed as in the ledger; what arrived may name people. Raises as `Selection.where` does.
    """
    where = selection.where(settings, ledger, states, newest_first=False)
    return (_document(row) for page in in_pages(ledger.dead_letters, where, PAGE) for row in page)


def plan_import(settings: Settings, ledger: Ledger, lines: Lines, name: str) -> PlannedImport:
    """Return what an import of *lines*, which are of the file *name*, would do.

    Raises RefusedRequest where a line is none of an export.
    """
    counts = Counter[str]()
    for batch in _batches(settings, lines):
        known = _known(ledger, [letter for letter, refusal in batch if refusal is None])
        counts.update(_verdict(letter, refusal, known) for letter, refusal in batch)
    new, old = counts.pop("new", 0), counts.pop("known", 0)
    return PlannedImport(lines, new, old, dict(counts.most_common()), name)


def import_letters(settings: Settings, ledger: Ledger, planned: PlannedImport, operator: Operator) -> AuditEntry:
    """Put on the desk what was planned, in batches; return the line of the audit, with how many. Killed: run it again.

    Raises LedgerUnavailable, and RefusedRequest where the file is another one by now.
    """
    audit = operator.entry("dead-letter.import", planned.scope)
    ledger.audit(replace(audit, result="begun"))  # first: what cannot be accounted for is not done
    count = 0
    for batch in _batches(settings, planned.lines):
        sound = [letter for letter, refusal in batch if refusal is None]
        known = _known(ledger, sound)
        new = [letter for letter in sound if letter.dead_letter_id not in known]
        ledger.record(new)
        count += len(new)
    done = replace(audit, count=count, result=f"{count} imported")
    ledger.audit(done)
    return done


def _document(row: DeadLetterRow) -> dict[str, Any]:
    letter = json.loads(row.letter.model_dump_json(exclude_defaults=True))
    return {"schema": SCHEMA, "state": row.state.value, "letter": letter}


def _batches(settings: Settings, lines: Lines) -> Iterator[Sequence[tuple[DeadLetter, Refusal | None]]]:
    """The letters in *lines*, each with the reason to refuse it."""
    mac = ProvenanceMac.of(settings).letters
    read = (_letter(number, line) for number, line in enumerate(lines(), 1) if line.strip())
    while batch := [(letter, _refusal(letter, mac)) for letter in islice(read, PAGE)]:
        yield batch


def _letter(number: int, line: str) -> DeadLetter:
    try:
        document = json.loads(line) if len(line) <= MAX_LINE else {}
        if document["schema"] == SCHEMA:
            return DeadLetter.model_validate_json(json.dumps(document["letter"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise RefusedRequest(f"line {number} is no dead letter as `dlq export` writes it: nothing was changed")


def _refusal(letter: DeadLetter, mac: LetterMac) -> Refusal | None:
    if letter.mac is None:
        return Refusal.NOT_VOUCHED
    return None if mac.verify(letter) else Refusal.ALTERED


def _known(ledger: Ledger, letters: Sequence[DeadLetter]) -> set[str]:
    rows = ledger.whole_dead_letters([letter.dead_letter_id for letter in letters])
    return {row.dead_letter_id for row in rows}


def _verdict(letter: DeadLetter, refusal: Refusal | None, known: set[str]) -> str:
    if refusal is not None:
        return refusal.value
    return "known" if letter.dead_letter_id in known else "new"
