"""What every page works with: the settings in force, the ledger, and threads in which both are asked."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Final, ParamSpec, TypeVar

from aiohttp import web

from worker.console.names import Names
from worker.ledger import Ledger
from worker.settings import Settings

THREADS: Final = 4  # that ask the ledger for pages; a page more waits its turn, and the recorder does not
GLANCE_THREADS: Final = 2  # that ask who is signed in, and for news: that waits for no page, however long one takes
LOCK_TIMEOUT: Final = 5.0  # seconds for a lock in the ledger

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Desk:
    """The settings and the ledger of the console."""

    settings: Settings
    ledger: Ledger
    names: Names
    threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(THREADS, "page"))
    glances: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(GLANCE_THREADS, "glance"))

    @classmethod
    def open(cls, settings: Settings) -> "Desk":
        """Return that of *settings*. The ledger is reached at the first question."""
        url, secret = settings.ledger_url.get_secret_value(), settings.audit_secret()
        ledger = Ledger.open(url, LOCK_TIMEOUT, audit_secret=secret)
        return cls(settings, ledger, Names.of(settings))

    def close(self) -> None:
        """Let the ledger go, once what is asked is answered."""
        for each in (self.threads, self.glances):
            each.shutdown(cancel_futures=True)
        self.ledger.close()

    async def ask(self, question: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return the answer to *question*, which is asked in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, partial(question, *args, **kwargs))

    async def glance(self, question: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return the answer to *question*, which takes milliseconds, and waits neither for a lock nor for a page."""
        return await asyncio.get_running_loop().run_in_executor(self.glances, partial(question, *args, **kwargs))


DESK: Final = web.AppKey("desk", Desk)


def desk_of(request: web.Request) -> Desk:
    """Return the desk at which *request* is answered."""
    return request.app[DESK]
