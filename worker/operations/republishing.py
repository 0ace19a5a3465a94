"""A dead letter as the message that replays it, built anew: no header of the old message's deaths travels along.

RabbitMQ before 4.0.1 silently drops a message whose `x-death` header tells of a cycle (rabbitmq-server #9867).
"""

import base64
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from tasks.call import Lane
from tasks.outcome import Reason
from tasks.records import DeadLetter
from worker.broker import messages
from worker.broker.provenance import ProvenanceMac
from worker.broker.publication import Message

_VOUCHED_FOR: Final = frozenset({messages.USER, messages.DOOR})


def replay_message(
    letter: DeadLetter, now: datetime, budgets: Mapping[Lane, timedelta], mac: ProvenanceMac, replays: int | None = None
) -> Message:
    """Return the message that gives *letter* another try, with a fresh time budget from *now* on.

    A call goes back to its provider's queue; a unit's event to the intake, for this provider alone; a refused event to
    the intake, which judges it again. *replays* is the generation that died last, where the letter has another. The
    intake believes an event signed with *mac*, and counts it for no flood; a letter without a MAC goes as a claim.

    Raises ValueError for a letter that holds neither call nor body, or that no process of ours made.
    """
    is_ours = mac.letters.verify(letter)
    if not (is_ours or may_be_a_claim(letter)):
        raise ValueError("the dead letter is not as a process of ours made it")
    if letter.call is not None:
        return messages.call(letter.call.replayed(now, budgets[letter.call.lane]))
    if letter.kind == "message" or letter.body is None:
        raise ValueError("the dead letter holds nothing to replay")
    if not is_ours:
        return _event(letter, {name: value for name, value in letter.headers.items() if name not in _VOUCHED_FOR})
    generation = (letter.replays if replays is None else replays) + 1
    replay = {messages.REPLAYS: generation, messages.LETTER: letter.dead_letter_id}
    return mac.sign(_event(letter, {**letter.headers, **replay}, only_provider=letter.provider))


def may_be_a_claim(letter: DeadLetter) -> bool:
    """Whether *letter*, which carries no MAC, can be replayed: a refused event may prove itself.

    A call may not, because nothing judges it again; nor an event of a flood, which the intake would take for a copy.
    """
    return letter.mac is None and letter.kind == "event" and letter.reason != Reason.GUARD_FLOOD


def _event(letter: DeadLetter, headers: Mapping[str, object], only_provider: str | None = None) -> Message:
    return messages.event(
        base64.b64decode(letter.body or ""),
        letter.event_type or "replayed",
        content_type=letter.content_type,
        headers=headers,
        only_provider=only_provider,
    )
