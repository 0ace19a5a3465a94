"""A dead letter as the message that replays it: built anew, so nothing of the old message's deaths travels along.

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
from worker.broker.publisher import Message

_VOUCHED_FOR: Final = frozenset({messages.USER, messages.DOOR})


def replay_message(
    letter: DeadLetter,
    now: datetime,
    budgets: Mapping[Lane, timedelta],
    mac: ProvenanceMac,
    replays: int | None = None,
) -> Message:
    """The message that gives what *letter* holds another try, with a fresh time budget counted from *now*.

    A call goes back to its provider's queue; a unit's event to the intake, for this provider alone; a refused event to
    the intake, which judges it again. *replays* is the generation that died last, where that is not the letter's. An
    event goes with *mac*, on which the intake believes the evidence it came with, and that an operator sends it: it
    is part of no flood. One that carries no MAC goes as anybody's claim.

    Raises ValueError for a letter that holds neither call nor body, or that is not as a process of ours made it.
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
    """Whether it can be replayed though nobody vouches for it: a refused event, which may prove itself by itself.

    Not a call: nothing judges that again. Not what the intake has let in once, of which it would take this for a copy.
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
