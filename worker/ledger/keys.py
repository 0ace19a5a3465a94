"""What still needs each sealing key."""

import base64
import binascii
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, func, or_, select

from tasks.outcome import OPEN
from tasks.records import DeadLetter
from tasks.sealing import named_kids
from worker.database.tables import bodies, calls, dead_letters, key_uses, registry_sessions
from worker.ledger.rows import CLOSED

_DOCUMENTS_IN_MEMORY: Final = 500


@dataclass(slots=True)
class KeyNeed:
    """What needs a key."""

    dead_letters: int = 0  # and floods that wait for an operator
    calls: int = 0  # under way: planned, to be retried, held, replayed
    sessions: int = 0  # that the session registry keeps
    last_used: datetime | None = None  # None: never, since uses are recorded


def needs(connection: Connection, lately: datetime) -> dict[str, KeyNeed]:
    """What needs each key, by kid; of dead letters those count that may be replayed, or were since *lately*."""
    found: defaultdict[str, KeyNeed] = defaultdict(KeyNeed)
    for kid, last_used in connection.execute(select(key_uses.c.kid, key_uses.c.last_used)):
        found[kid].last_used = last_used
    by_kid = select(calls.c.kid, func.count()).where(calls.c.state.in_(OPEN), calls.c.kid.is_not(None))
    for kid, count in connection.execute(by_kid.group_by(calls.c.kid)):
        found[kid].calls = count
    kept = select(registry_sessions.c.kid, func.count()).where(registry_sessions.c.kid.is_not(None))
    for kid, count in connection.execute(kept.group_by(registry_sessions.c.kid)):
        found[kid].sessions = count
    for row in _dead_letters(connection, lately):
        for kid in _kids_of(DeadLetter.of(row.document, row.arrived)):
            found[kid].dead_letters += 1
    return dict(found)


def _dead_letters(connection: Connection, lately: datetime) -> Iterable[Row[Any]]:
    """Whatever waits for an operator, floods included. A replayed event is in no other row until it is planned."""
    letter = dead_letters.c
    kept = select(letter.document, bodies.c.document.label("arrived")).outerjoin(bodies, bodies.c.digest == letter.body)
    wanted = kept.where(or_(letter.state.not_in(CLOSED), letter.claimed_at >= lately))
    return connection.execute(wanted, execution_options={"yield_per": _DOCUMENTS_IN_MEMORY})


def _kids_of(letter: DeadLetter) -> set[str]:
    try:
        body = base64.b64decode(letter.body or "").decode(errors="replace")
    except binascii.Error:
        body = ""
    return {*named_kids(letter.call.jwe or "" if letter.call else ""), *named_kids(body)}
