"""The dead letters of a large ledger, signed as a process of ours signs them; some are replayed or discarded since."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

from benchmarks.scale.world import BURST, Call, Event, Person, World, digest, masked, settled_at
from tasks import records
from tasks.call import Attempt, Lane, ProviderCall
from tasks.outcome import Reason, State
from tasks.records import DeadLetter
from worker.broker.provenance import LetterMac
from worker.ledger.recording import call_row, letter_row
from worker.ledger.rows import DeadLetterState

HELD_BACK: Final = 0.004  # of all events, by as many floods as there are sources
_SEALED: Final = "eyJhbGciOiJFQ0RILUVTIn0" + "A" * 700  # as long as a sealed token
# With four providers, one or two operations each, these are some forty causes.
_REASONS: Final[tuple[tuple[str, dict[str, str]], ...]] = (
    ("http.5xx", {"status": "503"}),
    ("auth.forbidden", {"status": "403", "code": "not.authorized"}),
    ("auth.unauthorized", {"status": "401", "code": "bad.credentials"}),
    ("net.timeout", {}),
    ("provider.not_found", {"status": "404", "code": "not.found"}),
    ("http.4xx.conflict", {"status": "409", "code": "already.changing"}),
    ("budget.exhausted", {"last": "http.429"}),
)
_CLOSED: Final = {
    0: (State.REPLAYED, DeadLetterState.REPLAYED),
    1: (State.DISCARDED, DeadLetterState.DISCARDED),
}
_OPEN: Final = (State.DEAD, DeadLetterState.DEAD)

Row = dict[str, Any]


class Letters:
    """Makes the rows of what died."""

    def __init__(self, world: World) -> None:
        self._world, self._mac = world, LetterMac(world.secret)

    def of_call(self, call: Call, person: Person) -> tuple[Row, Row, list[Row]]:
        """The rows of a call that died: of its letter, of the call, and of its attempts."""
        letter = self._mac.sign(_letter(call, person))
        call_state, state = _CLOSED.get(call.event.number // 7 % 10, _OPEN)
        (row,) = call_row(letter, call_state, letter.at)
        return letter_row(letter) | {"state": state}, row, [*_attempt_rows(letter)]

    def held_back(self) -> Iterator[Row]:
        """The rows of events that a flood of each source holds back: the last that came."""
        for number in range(int(self._world.size * HELD_BACK)):
            event = self._world.event(number)
            at = self._world.now - BURST * (1 - number / (self._world.size * HELD_BACK))
            letter = DeadLetter(
                kind="event",
                dead_letter_id=records.dead_letter_id("held back", event.event_id),
                reason=Reason.GUARD_FLOOD,
                at=at,
                source=event.source,
                event_id=f"held-{event.event_id}",
                event_type="user.disabled",
                subject=masked(self._world.person(event.person)),
                occurred_at=at,
            )
            yield letter_row(self._mac.sign(letter))


def _letter(call: Call, person: Person) -> DeadLetter:
    event, at = call.event, settled_at(call)
    reason, detail = _REASONS[event.number // 20 % len(_REASONS)]
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
        attempts=tuple(_attempts(call.attempt, event, reason, detail)),
    )
    return records.dead_letter_of_call(whole, reason, at, detail)


def _attempts(count: int, event: Event, reason: str, detail: dict[str, str]) -> Iterator[Attempt]:
    for number in range(count):
        yield Attempt(at=event.occurred_at + timedelta(seconds=4 * number + 0.2), reason=reason, detail=detail)


def _attempt_rows(letter: DeadLetter) -> Iterator[Row]:
    """As the recorder writes them of a letter."""
    for number, tried in enumerate(letter.attempts, 1):
        about = {"call_id": letter.call and letter.call.call_id, "replays": 0, "number": number}
        yield about | {"at": tried.at, "reason": tried.reason, "detail": '{"status": "503"}', "duration_ms": None}
