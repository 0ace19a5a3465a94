"""Which deliveries of a channel are settled: where all below are, one acknowledgement settles many.

RabbitMQ numbers the deliveries of an opened channel from 1 on, without a gap
(https://www.rabbitmq.com/docs/confirms#consumer-acks-delivery-tags). An acknowledgement with `multiple` settles every
one up to its own, so it may go only where each of those is known to be settled. One that nobody knows of is a gap: from
there on each is acknowledged alone. The tag that it names must itself be unsettled; else the broker closes the channel.
"""

from collections.abc import Sequence
from typing import Final

MAX_SCATTERED_TAGS: Final = 65_536  # above an unsettled one; more are forgotten, and each is acknowledged alone

Ack = tuple[int, bool]  # delivery tag, and whether it stands for all below as well


class SettledTags:
    """Of one opened channel; one that opens again begins anew."""

    def __init__(self) -> None:
        self._all_up_to = 0
        self._scattered = set[int]()

    def add(self, tag: int) -> None:
        """The delivery *tag* is settled."""
        if len(self._scattered) >= MAX_SCATTERED_TAGS:
            self._scattered.clear()
        self._scattered.add(tag)
        while self._all_up_to + 1 in self._scattered:
            self._all_up_to += 1
            self._scattered.remove(self._all_up_to)

    def acks(self, tags: Sequence[int]) -> list[Ack]:
        """The fewest acknowledgements that settle *tags*, none of which is settled yet, and no other delivery."""
        for tag in tags:
            self.add(tag)
        together = [tag for tag in tags if tag <= self._all_up_to]
        alone = [(tag, False) for tag in tags if tag > self._all_up_to]
        return [(max(together), len(together) > 1), *alone] if together else alone
