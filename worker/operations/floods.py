"""Floods of events as operators see, release and give up what is held back of them."""

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice
from typing import Final

from tasks.outcome import Reason
from worker.broker.provenance import ProvenanceMac
from worker.intake.flood import store
from worker.intake.flood.store import HELD_BACK, FloodRow
from worker.intake.flood.window import flood_id
from worker.ledger import BEGUN, AuditEntry, DeadLetterFilter, DeadLetterState, Ledger, Operator
from worker.ledger import audit as auditing
from worker.ledger.ledger import Letter, in_pages
from worker.operations import RefusedRequest
from worker.operations.discards import Seen, require_four_eyes
from worker.operations.replay_plan import PAGE, ReplayPages
from worker.operations.replay_rules import ReplayPlan, only_vouched
from worker.settings import Settings

REASON: Final = Reason.GUARD_FLOOD.value  # of the dead letters that a flood holds back


def standing(ledger: Ledger) -> list[FloodRow]:
    """Return what is held back, or would be, by source and type. Raises LedgerUnavailable."""
    return store.standing(ledger.database)


def id_of(flood: FloodRow) -> str:
    """Return the id by which operators name *flood*."""
    return flood_id((flood.source, flood.event_type))


def chosen(ledger: Ledger, prefixes: Sequence[str]) -> list[FloodRow]:
    """Return the floods that *prefixes* name by the beginnings of their ids; all of none. Raises RefusedRequest."""
    floods = standing(ledger)
    for prefix in prefixes:
        if sum(id_of(flood).startswith(prefix) for flood in floods) != 1:
            raise RefusedRequest(f"{prefix}: not the beginning of one flood's id")
    return [flood for flood in floods if id_of(flood).startswith(tuple(prefixes) or "")]


def of_held(settings: Settings, ledger: Ledger, floods: Sequence[FloodRow], limit: int | None = None) -> ReplayPages:
    """Return what is held back of *floods* as a replay, in the order it came. With a *limit* the floods stay open.

    Else they end when it begins: what comes after that may pass.
    """
    letters = ProvenanceMac.of(settings).letters

    def pages() -> Iterator[ReplayPlan]:
        held = islice(_held(floods, ledger.dead_letters), limit)
        while rows := tuple(islice(held, PAGE)):
            yield only_vouched(ReplayPlan(rows, ()), letters)

    ends = () if limit else _keys(floods)
    return ReplayPages(pages, _scope(floods), "guard.release", is_judged=False, ends=ends)


def held(ledger: Ledger, floods: Sequence[FloodRow]) -> Seen:
    """Return what is held back of *floods*."""
    return {head.dead_letter_id: head.at for head in _held(floods, ledger.dead_letter_heads)}


def discard(
    settings: Settings, ledger: Ledger, floods: Sequence[FloodRow], seen: Seen, operator: Operator
) -> AuditEntry:
    """End *floods* and give *seen*, which they hold back, up for good; a tombstone of each stays.

    Raises RefusedRequest where a second operator is asked for.
    """
    audit = operator.entry("guard.discard", _scope(floods), plan=f"{len(seen)} held back")
    require_four_eyes(settings, ledger, seen, audit, _keys(floods))
    with ledger.database.writing() as connection:
        auditing.write(connection, replace(audit, result=BEGUN))
        store.end(connection, _keys(floods))
    return ledger.discard(list(seen), audit=audit, also=[DeadLetterState.WITHHELD])


def _held(floods: Sequence[FloodRow], look: Callable[[DeadLetterFilter], list[Letter]]) -> Iterator[Letter]:
    """What is held back of *floods*, in the order it came, page by page."""
    every = DeadLetterFilter(reason=Reason.GUARD_FLOOD, states=HELD_BACK, newest_first=False)
    filters = (replace(every, source=flood.source, event_type=flood.event_type) for flood in floods)
    waiting = (chain.from_iterable(in_pages(look, each, PAGE)) for each in filters)
    return heapq.merge(*waiting, key=lambda row: (row.at, row.dead_letter_id))


def _keys(floods: Sequence[FloodRow]) -> tuple[tuple[str, str], ...]:
    return tuple((flood.source, flood.event_type) for flood in floods)


def _scope(floods: Sequence[FloodRow]) -> str:
    return ", ".join(f"{source or '(all sources)'} {event_type}" for source, event_type in _keys(floods))
