"""Reading dead letters in steps: however many there are, a page of them is in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final, TypeVar

from worker.ledger.rows import DeadLetterFilter, DeadLetterHead

PAGE: Final = 500  # dead letters; of the largest, 45 MB whole
Letter = TypeVar("Letter", bound=DeadLetterHead)


def in_pages(
    look: Callable[[DeadLetterFilter], list[Letter]], where: DeadLetterFilter, size: int = PAGE
) -> Iterator[list[Letter]]:
    """What *look* finds for *where*, at most *size* at a time, in its order and up to its limit.

    Each page is read when it is asked for, behind the last of the one before: what was changed meanwhile is neither
    read twice nor left out.
    """
    left = where.limit
    while left is None or left > 0:
        page = look(replace(where, limit=size if left is None else min(size, left)))
        if not page:
            return
        yield page
        where = replace(where, behind=(page[-1].at, page[-1].dead_letter_id))
        left = None if left is None else left - len(page)
