"""What of an event the broker has confirmed already, while something else of it was refused.

The whole event stays in the broker until all of it is safe, and is then planned again. But a call that was confirmed
must not go out a second time: a record that nobody takes would have the call made over and over.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from worker.broker.publisher import Message, PublishError
    from worker.intake.dedup import Arrival

MOST: Final = 1000  # events; more than a process ever has in hand (batch_consumer.PREFETCH of each intake queue)

Key = tuple[bytes, bytes]


class Unfinished:
    """The events of one intake process that were begun and are not yet done. Of *most* of them, the latest."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._confirmed: OrderedDict[Key, frozenset[str]] = OrderedDict()

    def has(self, arrival: Arrival) -> bool:
        """Whether *arrival* was begun: it was let through, and goes on with what is left of it."""
        return _key(arrival) in self._confirmed

    def left(self, arrival: Arrival, planned: Sequence[Message]) -> list[Message]:
        """What of *planned* is still to be published."""
        confirmed = self._confirmed.get(_key(arrival), frozenset())
        return [message for message in planned if _name(message) not in confirmed]

    def note(self, arrival: Arrival, sent: Sequence[Message], results: Sequence[PublishError | None]) -> None:
        """What became of what was *sent* of *arrival*; what is done is forgotten."""
        before = self._confirmed.pop(_key(arrival), frozenset())
        if any(results):
            confirmed = (_name(message) for message, failure in zip(sent, results, strict=True) if failure is None)
            self._confirmed[_key(arrival)] = before.union(confirmed)
        while len(self._confirmed) > self._most:
            self._confirmed.popitem(last=False)


def _key(arrival: Arrival) -> Key:
    """Of the same event under the same id the plan is the same each time."""
    return arrival.identity, arrival.content


def _name(message: Message) -> str:
    """What names a message among those of one event: its call, its dead letter; records are told by their way."""
    return message.correlation_id or f"{message.exchange} {message.routing_key}"
