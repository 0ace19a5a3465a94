"""Floods as operators see and end them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.intake.flood import store

if TYPE_CHECKING:
    from collections.abc import Collection

    from worker.intake.flood.store import FloodRow
    from worker.intake.flood.window import FloodKey
    from worker.ledger import Ledger


def standing(ledger: Ledger) -> list[FloodRow]:
    """Return what is held back, or would be, by source and type. Raises LedgerUnavailable."""
    return store.standing(ledger.database)


def end(ledger: Ledger, keys: Collection[FloodKey]) -> None:
    """Hold no more back of these sources and types; what is held stays. Raises LedgerUnavailable."""
    store.end(ledger.database, keys)
