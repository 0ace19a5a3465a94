"""Records travel packed: those that are published at once make up one message, and one confirm answers for all.

What becomes of a pack becomes of each of its records. Who publishes a record again publishes it by itself.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from operator import attrgetter
from typing import Final

from worker.broker import messages
from worker.broker.confirms import Publication
from worker.broker.publication import PublishError

MAX_RECORDS: Final = 50  # of one pack
MAX_SIZE: Final = 16_384  # bytes of the records of one pack


def packed(publications: Iterable[Publication]) -> list[Publication]:
    """*publications*, the records among them in packs; what goes for the second time goes as it was."""
    single: list[Publication] = []
    records: dict[str, list[Publication]] = {}  # by their exchange
    for each in publications:
        is_packed = messages.is_record(each.message) and not each.was_resent
        (records.setdefault(each.message.exchange, []) if is_packed else single).append(each)
    if not records:
        return single
    packs = (_pack(part) for alike in records.values() for part in _parts(alike))
    return sorted([*single, *packs], key=attrgetter("since"))  # confirms are overdue by the oldest


def _parts(records: Sequence[Publication]) -> Iterator[list[Publication]]:
    part, size = list[Publication](), 0
    for each in records:
        size += len(each.message.body)
        if part and (size > MAX_SIZE or len(part) == MAX_RECORDS):
            yield part
            part, size = [], len(each.message.body)
        part.append(each)
    yield part


def _pack(part: Sequence[Publication]) -> Publication:
    if len(part) == 1:
        return part[0]
    return Publication(messages.pack([each.message for each in part]), partial(_settle, part), part[0].since)


def _settle(part: Sequence[Publication], failure: PublishError | None) -> None:
    for each in part:
        each.settle(failure)
