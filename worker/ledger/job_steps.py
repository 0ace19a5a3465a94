"""The steps of a job: its next dead letters are claimed in one transaction, and marked in another one.

Whoever runs a job may be killed between any two transactions. What was claimed and not marked by then, the job's next
runner finds claimed by the job itself: it publishes that again, unless the ledger knows that it went out. Both copies
are of one call and one generation, so the second one harms nobody.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import sqlalchemy as sa

from worker.database.tables import calls, dead_letters, job_letters
from worker.database.writing import take_changes
from worker.ledger import dead_letters as letters
from worker.ledger.job_rows import Fate, Job, JobLetter, JobStep, fingerprint
from worker.ledger.jobs import is_held, is_renewed
from worker.ledger.queries import batches
from worker.ledger.rows import CLOSED, DeadLetterRow, DeadLetterState

_OPENED_BY_FORCE: Final = (*CLOSED, DeadLetterState.WITHHELD)

Verdict = tuple[Fate, str]  # what became of it, and why
Rows = Mapping[str, DeadLetterRow]  # by id, as they are now


def claim_step(
    connection: sa.Connection, job: Job, runner: str, step: Sequence[JobLetter], refused: Mapping[str, str]
) -> JobStep | None:
    """Claim *step*, the job's next dead letters; None where *runner* is no longer to run the job.

    Left out is what another replay has, what changed since it was planned, and what is *refused* by now (id → why).
    """
    take_changes(connection, 0)
    if not is_renewed(connection, job.job_id, runner):
        return None
    rows = {row.dead_letter_id: row for row in letters.whole(connection, [each.dead_letter_id for each in step])}
    decided = _sent(connection, job, step, rows)
    left = [letter for letter in step if letter.dead_letter_id not in decided]
    decided |= _left_out(connection, job, left, rows, refused)
    wanted = [letter for letter in left if letter.dead_letter_id not in decided]
    claimed = _claimed(connection, job, wanted, rows)
    taken = {letter.dead_letter_id for letter in wanted} - {row.dead_letter_id for row in claimed}
    decided |= dict.fromkeys(taken, (Fate.TAKEN, ""))
    _write(connection, job.job_id, decided, Fate.PLANNED)
    return JobStep(tuple(claimed), decided)


def discard_step(connection: sa.Connection, job: Job, runner: str, step: Sequence[JobLetter]) -> bool:
    """Give *step* up for good, the job's next dead letters; return whether *runner* was still to run the job.

    Left out is what a replay has, and what changed since it was planned.
    """
    take_changes(connection, 0)
    if not is_renewed(connection, job.job_id, runner):
        return False
    rows = {row.dead_letter_id: row for row in letters.whole(connection, [each.dead_letter_id for each in step])}
    decided = _left_out(connection, job, step, rows, {})
    wanted = [letter for letter in step if letter.dead_letter_id not in decided]
    decided |= {letter.dead_letter_id: (Fate.TAKEN, "") for letter in wanted}
    for also, group in _by_state(wanted).items():
        gone = letters.give_up(connection, group, job.audit.audit_id, also=also)
        decided |= dict.fromkeys(gone, (Fate.DISCARDED, ""))
    _write(connection, job.job_id, decided, Fate.PLANNED)
    return True


def mark_step(
    connection: sa.Connection, job: Job, runner: str, replayed: Mapping[str, int], freed: Mapping[str, Verdict]
) -> None:
    """Note that claimed dead letters are on their way, by id, as which generation; give the claims of *freed* back.

    Another runner that has the job by now has these claims as well, and keeps them.
    """
    letters.mark_replayed(connection, replayed)
    _write(connection, job.job_id, dict.fromkeys(replayed, (Fate.REPLAYED, "")), Fate.PLANNED)
    if freed and is_held(connection, job.job_id, runner):
        for dead_letter_id in freed:
            letters.release(connection, dead_letter_id)
        _write(connection, job.job_id, freed, Fate.PLANNED)


def settle(connection: sa.Connection, job_id: str, fates: Mapping[str, Fate]) -> None:
    """Note what became of replayed dead letters, by id."""
    take_changes(connection, 0)
    _write(connection, job_id, {each: (fate, "") for each, fate in fates.items()}, Fate.REPLAYED)


def _sent(connection: sa.Connection, job: Job, step: Sequence[JobLetter], rows: Rows) -> dict[str, Verdict]:
    """Find and mark what of *step* went out before the job's last runner ended: the ledger has news of it."""
    known = ((letter, rows.get(letter.dead_letter_id)) for letter in step)
    mine = [(letter, row) for letter, row in known if row and row.audit_id == job.audit.audit_id]
    generations = _generations(connection, [row.call_id for _, row in mine if row.call_id])
    sent = dict[str, Verdict]()
    for letter, row in mine:
        if row.replays > letter.replays:
            sent[letter.dead_letter_id] = Fate.DIED, ""
        elif row.state is DeadLetterState.CLAIMED and generations.get(row.call_id or "", 0) > letter.replays:
            sent[letter.dead_letter_id] = Fate.REPLAYED, ""
    went = {letter.dead_letter_id: letter.replays + 1 for letter in step if letter.dead_letter_id in sent}
    letters.mark_replayed(connection, went)
    return sent


def _generations(connection: sa.Connection, call_ids: Sequence[str]) -> dict[str, int]:
    """The generation of the last news of each call."""
    asked = (sa.select(calls.c.call_id, calls.c.replays).where(calls.c.call_id.in_(ids)) for ids in batches(call_ids))
    return {call_id: replays for each in asked for call_id, replays in connection.execute(each)}


def _left_out(
    connection: sa.Connection, job: Job, step: Sequence[JobLetter], rows: Rows, refused: Mapping[str, str]
) -> dict[str, Verdict]:
    """What of *step* the job leaves out, and why. What it claimed before its last runner ended is free again."""
    judged = {letter.dead_letter_id: _verdict(letter, rows.get(letter.dead_letter_id), refused) for letter in step}
    out = {dead_letter_id: verdict for dead_letter_id, verdict in judged.items() if verdict is not None}
    for row in (rows[each] for each in out if each in rows):
        if _is_claimed_by(job, row):
            letters.release(connection, row.dead_letter_id)
    return out


def _verdict(letter: JobLetter, row: DeadLetterRow | None, refused: Mapping[str, str]) -> Verdict | None:
    """Why the job leaves *letter* out, which is *row* now; None where it does not."""
    if row is None:
        return Fate.CHANGED, "forgotten"
    if fingerprint(row) != letter.fingerprint:
        return Fate.CHANGED, "died_again" if row.replays > letter.replays else "another"
    if row.state is not letter.state and row.state is DeadLetterState.REPLAYED:
        return Fate.TAKEN, ""
    if row.state is not letter.state and row.state in _OPENED_BY_FORCE:
        return Fate.CHANGED, row.state.value
    refusal = refused.get(letter.dead_letter_id)
    return None if refusal is None else (Fate.CHANGED, refusal)


def _claimed(connection: sa.Connection, job: Job, wanted: Sequence[JobLetter], rows: Rows) -> list[DeadLetterRow]:
    """Claim *wanted* for the job. What it has claimed already, before its last runner ended, it has."""
    mine = {each.dead_letter_id for each in wanted if _is_claimed_by(job, rows[each.dead_letter_id])}
    _claim_again(connection, mine)
    claimed = [row for dead_letter_id, row in rows.items() if dead_letter_id in mine]
    for also, ids in _by_state([each for each in wanted if each.dead_letter_id not in mine]).items():
        claimed += letters.claim(connection, ids, audit=job.audit, also=also)
    return sorted(claimed, key=lambda row: (row.at, row.dead_letter_id))


def _by_state(wanted: Sequence[JobLetter]) -> Mapping[tuple[DeadLetterState, ...], list[str]]:
    """The ids of *wanted*, by the state that they must be opened from: none, where they were open when planned."""
    found = defaultdict[tuple[DeadLetterState, ...], list[str]](list)
    for letter in wanted:
        found[(letter.state,) if letter.state in _OPENED_BY_FORCE else ()].append(letter.dead_letter_id)
    return found


def _is_claimed_by(job: Job, row: DeadLetterRow) -> bool:
    return row.state is DeadLetterState.CLAIMED and row.audit_id == job.audit.audit_id


def _claim_again(connection: sa.Connection, ids: Collection[str]) -> None:
    if ids:
        claimed = sa.update(dead_letters).where(dead_letters.c.dead_letter_id.in_(ids))
        connection.execute(claimed.values(claimed_at=datetime.now(UTC)))


def _write(connection: sa.Connection, job_id: str, verdicts: Mapping[str, Verdict], before: Fate) -> None:
    """Write the *verdicts* on those of the job's dead letters, by id, whose fate is *before* so far."""
    alike = defaultdict[Verdict, list[str]](list)
    for dead_letter_id, verdict in verdicts.items():
        alike[verdict].append(dead_letter_id)
    of_job = sa.and_(job_letters.c.job_id == job_id, job_letters.c.fate == before)
    for (fate, why), ids in alike.items():
        for batch in batches(ids):
            some = sa.update(job_letters).where(of_job, job_letters.c.dead_letter_id.in_(batch))
            connection.execute(some.values(fate=fate, why=why))
