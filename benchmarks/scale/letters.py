"""The dead letters of a large ledger: recorded as the recorder does, some of them replayed or discarded since."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import islice
from typing import Final

from benchmarks.scale.rows import masked, settled_at
from benchmarks.scale.world import Call, Person, World, digest
from tasks import records
from tasks.call import Attempt, Lane, ProviderCall
from tasks.records import DeadLetter
from worker.ledger import AuditEntry, Ledger

_BATCH_SIZE: Final = 500
_SEALED: Final = "eyJhbGciOiJFQ0RILUVTIn0" + "A" * 700  # as long as a sealed token
_REASONS: Final[tuple[tuple[str, dict[str, str]], ...]] = (
    ("http.5xx", {"status": "503"}),
    ("auth.forbidden", {"status": "403", "code": "not.authorized"}),
    ("net.timeout", {}),
    ("provider.not_found", {"status": "404", "code": "not.found"}),
)


def record_letters(world: World, dead: Iterable[Call], ledgers: Sequence[Ledger]) -> None:
    """Record a dead letter of each call of *dead*; a tenth is replayed, and a tenth discarded."""
    left = iter(dead)
    while some := list(islice(left, _BATCH_SIZE)):
        letters = [_letter(call, world.person(call.event.person)) for call in some]
        for ledger in ledgers:
            ledger.record(letters)
            _close(ledger, [letter.dead_letter_id for letter in letters])


def _close(ledger: Ledger, ids: list[str]) -> None:
    tenth = len(ids) // 10
    replay, discard = (AuditEntry("olga", f"dead-letter.{what}", "--all", "mended") for what in ("replay", "discard"))
    if tenth:
        ledger.claim(ids[:tenth], audit=replay)
        ledger.mark_replayed(dict.fromkeys(ids[:tenth], 1))
        ledger.discard(ids[-tenth:], audit=discard)


def _letter(call: Call, person: Person) -> DeadLetter:
    event, at = call.event, settled_at(call)
    reason, detail = _REASONS[event.number // 20 % len(_REASONS)]
    tries = tuple(_attempts(call, reason, detail))
    whole = ProviderCall(
        call_id=call.call_id,
        source=event.source,
        event_id=event.event_id,
        event_type=event.event_type,
        occurred_at=event.occurred_at,
        deadline=event.occurred_at + timedelta(days=1),
        provider=call.provider,
        operation=str(call.operation),
        lane=Lane.ROUTINE,
        subject=masked(person),
        subject_keys=person.keys,
        person_key=person.key,
        target_key=digest("token", event.number * 2 + call.number),
        jwe=_SEALED,
        attempts=tries,
    )
    return records.dead_letter_of_call(whole, reason, at, detail)


def _attempts(call: Call, reason: str, detail: dict[str, str]) -> Iterator[Attempt]:
    for number in range(call.attempt):
        yield Attempt(at=call.event.occurred_at + timedelta(seconds=4 * number + 0.2), reason=reason, detail=detail)
