"""Calls for the items of a list: each belongs to the call that listed it, whose last, empty list proves them all."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from tasks.outcome import State
from tasks.providers import KINDS
from worker.ledger import CallRow

_LISTING: Final = {
    plan.listed: plan.operation for plan in (kind.user for kind in KINDS.values()) if plan and plan.listed
}
"""The operation of an item → that of the call that lists it."""
ParentOf = Callable[[CallRow], CallRow | None]


def is_listed(row: CallRow) -> bool:
    """Whether *row* is a call for an item of a list."""
    return row.operation in _LISTING


def parents(rows: Iterable[CallRow]) -> ParentOf:
    """Return what finds, among *rows*, the call that listed the item of another one: an event has one at a provider."""
    listing = {_family(row, row.operation): row for row in rows if row.operation in _LISTING.values()}
    return lambda row: listing.get(_family(row, _LISTING.get(row.operation or "")))


def is_proved_by(parent: CallRow | None) -> bool:
    """Whether *parent* found its list empty in the end: whatever the calls for its items came to, nothing is left."""
    return parent is not None and parent.state is State.CONFIRMED


def in_families(rows: Sequence[CallRow]) -> list[CallRow]:
    """Return *rows*, those for the items of a list behind the one that listed them."""
    parent_of = parents(rows)
    items: dict[int, list[CallRow]] = {}
    for row in rows:
        if parent := parent_of(row):
            items.setdefault(id(parent), []).append(row)
    heads = (row for row in rows if parent_of(row) is None)
    return [each for head in heads for each in (head, *items.get(id(head), ()))]


def _family(row: CallRow, operation: str | None) -> tuple[str | None, ...]:
    return row.source, row.event_id, row.provider, operation
