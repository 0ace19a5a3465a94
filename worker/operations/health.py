"""Whether processes of this machine live, are ready and have started: what their own endpoints answer."""

import http.client
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Final

from worker.observability import monitoring
from worker.observability.health import Answer
from worker.observability.metrics import EVERY_PROCESS, PROCESSES
from worker.operations import RefusedRequest
from worker.settings.sections import MonitoringSettings

TIMEOUT: Final = 5.0  # seconds for an answer: who does not answer by then does not live
MAX_WORDS: Final = 200  # bytes of an answer that are shown
_ANYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where who listens to every address is asked


class Question(StrEnum):
    """What can be asked."""

    LIVE = "live"
    READY = "ready"
    STARTED = "started"


_PATHS: Final = {
    Question.LIVE: monitoring.LIVE,
    Question.READY: monitoring.READY,
    Question.STARTED: monitoring.STARTED,
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A process that was asked, and its answer; None: it gave none."""

    process: str | None  # None: whichever has this port
    host: str
    port: int
    answer: Answer | None

    @property
    def place(self) -> str:
        """Where it was asked."""
        return f"{self.host}:{self.port}"

    @property
    def word(self) -> str:
        """The answer in a word."""
        if self.answer is None:
            return "none"
        return "yes" if self.answer.is_yes else "no"

    @property
    def why(self) -> str:
        """What it said."""
        return self.answer.why if self.answer else "nobody answers there"


def ask(
    settings: MonitoringSettings, question: Question, processes: Sequence[str] = (), *, some: bool = False
) -> Iterator[Asked]:
    """Ask *processes*, or where none is named all that the settings give a port, each in turn.

    With *some* those as well that an installation can do without.

    Raises RefusedRequest where they give none.
    """
    if settings.port == 0:
        raise RefusedRequest("monitoring.port is 0: no process can be asked")
    host = _ANYWHERE.get(settings.host, settings.host)
    every: Sequence[str | None] = [None]
    if settings.port is None:
        every = EVERY_PROCESS if some else PROCESSES
    for process in processes or every:
        port = settings.port or monitoring.PORTS[process or ""]
        yield Asked(process, host, port, _answer(host, port, _PATHS[question]))


def _answer(host: str, port: int, path: str) -> Answer | None:
    try:
        with closing(http.client.HTTPConnection(host, port, timeout=TIMEOUT)) as connection:
            connection.request("GET", path)
            response = connection.getresponse()
            why = response.read(MAX_WORDS).decode(errors="replace").strip()
    except (OSError, http.client.HTTPException):
        return None
    return Answer(is_yes=response.status == HTTPStatus.OK, why=why)
