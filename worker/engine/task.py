"""The task class of every task: its body is a coroutine, and Celery is told the truth of how it ended."""

import asyncio
import logging
from contextvars import ContextVar
from typing import Any, ClassVar, Final

from celery import Task
from celery._state import _task_stack
from celery.exceptions import Reject, Retry
from celery.utils.threads import get_ident
from celery.worker.request import Request
from pydantic import TypeAdapter

from tasks.outcome import State
from tasks.runtime import GivenBack, came_before
from worker.broker.publication import PublishError

logger = logging.getLogger(__name__)

PAUSE_BEFORE_REQUEUE: Final = 2.0  # seconds: a broker that takes nothing must not be asked in a busy loop

_owner: ContextVar[object] = ContextVar("owner")


def bind_request_context(owner: object) -> None:
    """Give this context (an asyncio task, and those it starts) a `task.request` of its own, that of *owner*."""
    _owner.set(owner)


def _ident() -> object:
    """Returns whose request `task.request` and `current_task` show. Celery tells threads apart, which tasks share."""
    return _owner.get(None) or get_ident()


class AsyncTask(Task):
    """A task whose body is a coroutine that settles its own message with the broker."""

    abstract = True
    Request = "worker.engine.task:SealedRequest"
    argument_type: ClassVar[TypeAdapter[Any]] = TypeAdapter(Any)

    @classmethod
    def on_bound(cls, app: Any) -> None:  # noqa: ARG003 - celery's signature
        """Let each context see its own request."""
        cls.request_stack.__ident_func__ = _task_stack.__ident_func__ = _ident

    async def run_settled(self, *args: Any, **kwargs: Any) -> State | None:
        """Run the body. A message whose fate the broker did not confirm goes back to its queue, unacknowledged."""
        came_before.set(bool((self.request.delivery_info or {}).get("redelivered")))
        try:
            state: State | None = await self.run(*args, **kwargs)
        except PublishError as error:
            logger.warning("task.not_settled", extra={"task_id": self.request.id, "error": str(error)})
            await asyncio.sleep(PAUSE_BEFORE_REQUEUE)
            raise Reject(str(error), requeue=True) from None
        except GivenBack:
            raise Reject("the worker stops", requeue=True) from None
        if state is State.RETRYING or state is State.HELD:
            raise Retry(str(state))
        return state


class SealedRequest(Request):
    """A request whose arguments are nobody's business: `celery inspect` shows what stands for them."""

    def info(self, safe: bool = True) -> dict[str, Any]:  # noqa: ARG002, FBT001, FBT002 - celery's signature
        """What `celery inspect` shows of it."""
        shown: dict[str, Any] = super().info(safe=True)
        return shown
