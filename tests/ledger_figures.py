"""What tests ask of a ledger and the product does not: its figures, what is open, its audit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from tasks.outcome import OPEN, State
from worker.database.tables import calls, dead_letters, events
from worker.ledger import AuditEntry, AuditFilter, CallRow, Ledger, queries


@dataclass(frozen=True, slots=True)
class Totals:
    """The ledger in figures. Exposure: seconds from event time to settled, p50, p95, p99; None before the first."""

    events: int
    calls: Mapping[State, int]
    dead_letters: Mapping[str, int]  # by reason, those that nobody replayed or discarded
    exposure_seconds: Mapping[str, float | None]


def totals(ledger: Ledger) -> Totals:
    """The ledger in figures."""
    unreplayed = dead_letters.c.state.in_(queries.UNREPLAYED)
    with ledger.database.reading() as connection:
        by_state = connection.execute(select(calls.c.state, func.count()).group_by(calls.c.state))
        by_reason = select(dead_letters.c.reason, func.count()).where(unreplayed).group_by(dead_letters.c.reason)
        exposures: list[Any] = sorted(
            connection.execute(select(calls.c.exposure_seconds).where(calls.c.exposure_seconds.is_not(None))).scalars()
        )
        return Totals(
            events=connection.execute(select(func.count()).select_from(events)).scalar_one(),
            calls={State(state): count for state, count in by_state},
            dead_letters=dict(map(tuple, connection.execute(by_reason))),
            exposure_seconds={f"p{rank}": _percentile(exposures, rank) for rank in (50, 95, 99)},
        )


def _percentile(ordered: list[float], rank: int) -> float | None:
    return ordered[max(0, math.ceil(len(ordered) * rank / 100) - 1)] if ordered else None


def unsettled(ledger: Ledger) -> list[CallRow]:
    """The calls that are neither settled nor dead."""
    rows, _ = ledger.changes_since(limit=1_000_000)
    return [row for row in rows if isinstance(row, CallRow) and row.kind == "call" and row.state in OPEN]


def audits(ledger: Ledger) -> list[AuditEntry]:
    """The changes that the audit tells of, newest first, each with what came of it."""
    return [
        AuditEntry(**{name: getattr(each, name) for name in AuditEntry.__slots__})
        for each in ledger.audited(AuditFilter(limit=1_000_000))
    ]
