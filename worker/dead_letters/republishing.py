"""A dead letter as the message that replays it: built anew, so nothing of the old message's deaths travels along.

RabbitMQ before 4.0.1 silently drops a message whose `x-death` header tells of a cycle (rabbitmq-server #9867).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import datetime, timedelta

from tasks.call import Lane
from tasks.records import DeadLetter
from worker import messages
from worker.admission.evidence import Voucher
from worker.publisher import Message


def replay_message(letter: DeadLetter, now: datetime, budgets: Mapping[Lane, timedelta], voucher: Voucher) -> Message:
    """The message that gives what *letter* holds another try, with a fresh time budget counted from *now*.

    A call goes back to its provider's queue; a unit's event to the intake, for this provider alone; a refused event to
    the intake, which judges it again. An event goes with *voucher*, on which the intake believes the evidence it came
    with, and that an operator sends it: it is part of no flood. Raises ValueError for a letter that holds neither call
    nor body.
    """
    if letter.call is not None:
        return messages.call(letter.call.replayed(now, budgets[letter.call.lane]))
    if letter.kind == "message" or letter.body is None:
        raise ValueError("the dead letter holds nothing to replay")
    event = messages.event(
        base64.b64decode(letter.body),
        letter.event_type or "replayed",
        content_type=letter.content_type or messages.CLOUDEVENTS_JSON,
        headers={**letter.headers, messages.REPLAYS: letter.replays + 1},
        only_provider=letter.provider if letter.kind == "unit" else None,
    )
    return voucher.put_on(event)
