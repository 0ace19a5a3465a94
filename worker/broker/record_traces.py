"""The spans of records, from the message that brings them to the transaction that keeps them."""

from collections.abc import Sequence
from typing import Any

from worker.broker.messages import traces_of
from worker.broker.queue_batch import Handle
from worker.observability import tracing


def traced(handle: Handle) -> Handle:
    """*handle*, with a span for each record of its batch; *handle* itself where no traces are made."""
    spans = tracing.spans()
    if spans is None:
        return handle

    def handle_traced(batch: Sequence[Any]) -> Sequence[Any]:
        begun = [(message, spans.record(_queue(message), each)) for message in batch for each in traces_of(message)]
        unsafe = handle(batch)
        waiting = {id(message) for message in unsafe}
        for message, span in begun:
            spans.end(span, "ledger.unavailable" if id(message) in waiting else None)
        return unsafe

    return handle_traced


def _queue(message: Any) -> str:
    """A queue of records is named like its exchange."""
    return str(message.delivery_info.get("exchange"))
