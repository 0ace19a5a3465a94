"""What is asked of the ledger about each of many rows, asked about all of them in a few statements."""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Final

from tasks.doubt import TokenAnswer
from tasks.outcome import State
from tasks.providers import KINDS
from worker.ledger import CallRow, DeadLetterRow, Ledger
from worker.ledger.queries import SURE

_USER_WIDE: Final = frozenset(kind.user.operation for kind in KINDS.values() if kind.user)


class AskedAtOnce:
    """Answers about *rows* as *ledger* does, which is asked again for what is not about them."""

    def __init__(self, ledger: Ledger, rows: Sequence[CallRow | DeadLetterRow]) -> None:
        self._ledger = ledger
        left = [row for row in rows if row.state not in SURE]
        targets, persons = ({getattr(row, name) for row in left} - {None} for name in ("target", "person"))
        self._of_target = _grouped("target", targets, ledger.telling_calls_of_targets)
        kills = partial(ledger.kills_of_persons, operations=_USER_WIDE)
        # By a person's names nothing tells of a user-wide call: only by what it hits (`supersedes`).
        of_sessions = {row.person for row in left if row.person and row.operation not in _USER_WIDE}
        nobody: dict[str, list[CallRow]] = {person: [] for person in persons}
        self._of_person = nobody | _grouped("person", of_sessions, kills)
        settled = (row for row in left if row.state is State.ALREADY_REVOKED)
        dead_already = {row.call_id: (row.provider, row.at) for row in settled if row.call_id}
        crowded = ledger.among_dead_already(dead_already.keys()) if dead_already else set()
        self._alone = {moment for call_id, moment in dead_already.items() if call_id not in crowded}

    def calls_alike(self, *, target: str | None = None, person: str | None = None) -> list[CallRow]:
        """Return the calls that hit the same user or token, or of which every name agrees and that kill them all.

        About *rows*: of these calls those that tell what all of them tell.
        """
        if target in self._of_target and person is None:
            return self._of_target[target]
        if person in self._of_person and target is None:
            return self._of_person[person]
        return self._ledger.calls_alike(target=target, person=person)

    def answers_around(self, provider: str, at: datetime) -> list[TokenAnswer]:
        """Return what *provider* answered about tokens around *at*; nothing where that is too little for a doubt."""
        return [] if (provider, at) in self._alone else self._ledger.answers_around(provider, at)


def _grouped(name: str, keys: set[str], ask: Callable[[set[str]], list[CallRow]]) -> dict[str, list[CallRow]]:
    """What *ask* finds for *keys*, by the attribute *name*, newest first: what comes last made most of it needless."""
    found: dict[str, list[CallRow]] = {key: [] for key in keys}
    for row in sorted(ask(keys), key=lambda row: row.change, reverse=True) if keys else ():
        found[getattr(row, name)].append(row)
    return found
