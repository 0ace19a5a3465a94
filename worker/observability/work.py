"""What is being worked on: its ids stand on every log line and error report that is written meanwhile.

The value that is set is the call or event itself, so that a call that nothing is said about costs no text.
"""

from contextvars import ContextVar
from types import TracebackType
from typing import Final, Self

from tasks.call import ProviderCall
from tasks.events import Event
from tasks.trace_context import trace_id_of

_KINDS: Final = (ProviderCall, Event)
_work: Final[ContextVar[ProviderCall | Event | None]] = ContextVar("work", default=None)
_trace_id: Final[ContextVar[str | None]] = ContextVar("trace_id", default=None)  # of the span that is open


def begin(what: object) -> None:
    """Work on *what*, if it is a call or an event, until this context ends: an asyncio task has its own."""
    _work.set(what if isinstance(what, _KINDS) else None)


class WorkOn:
    """Works on *what* until the end of the block, in the trace of that id, or else in that of its producer."""

    def __init__(self, what: ProviderCall | Event | None, trace_id: str | None = None) -> None:
        self._what, self._named = what, trace_id

    def __enter__(self) -> Self:
        self._before, self._traced = _work.set(self._what), _trace_id.set(self._named)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        _work.reset(self._before)
        _trace_id.reset(self._traced)


def members() -> dict[str, object]:
    """`event_id`, `call_id` and `trace_id` of what is worked on, as far as it has them."""
    what = _work.get()
    if what is None:
        return {}
    trace_id = _trace_id.get() or trace_id_of(what.traceparent)
    ids = (
        {"event_id": what.event_id, "call_id": what.call_id}
        if isinstance(what, ProviderCall)
        else {"event_id": what.id}
    )
    return {**ids, "trace_id": trace_id} if trace_id else {**ids}
