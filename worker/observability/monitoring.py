"""What a process shows of itself: metrics and health, at its endpoint."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from http import HTTPStatus
from typing import Final

from worker.observability import metrics
from worker.observability.endpoint import Endpoint, Reply
from worker.observability.health import OF_PROCESS, Answer
from worker.settings.sections import MonitoringSettings

PORTS: Final = {
    metrics.INTAKE: 9461,
    metrics.WORKER: 9462,
    metrics.RECORDER: 9463,
    metrics.CONSOLE: 9464,
    metrics.DOOR: 9465,
    metrics.SWEEP: 9466,
    metrics.LDAP: 9467,
}
LIVE, READY, STARTED, METRICS = "/livez", "/readyz", "/startupz", "/metrics"
RENDER_INTERVAL: Final = 1.0  # seconds for which the metrics are shown as they were: scrapes may come in any number


def port_of(settings: MonitoringSettings, process: str) -> int:
    """The port of *process*; 0: it has none."""
    return PORTS[process] if settings.port is None else settings.port


@contextmanager
def shown(settings: MonitoringSettings, process: str) -> Iterator[None]:
    """Show what *process* tells of itself, until the end of the block.

    A port that is taken, or a host that is not of this machine, is logged once, and keeps nothing from working.
    """
    metrics.READY.follow(lambda: {(): float(OF_PROCESS.ready.is_yes)})
    metrics.LAST_ACTIVITY.follow(lambda: {(): OF_PROCESS.last_activity} if OF_PROCESS.last_activity else {})
    (version,) = metrics.CLOSED["version"]
    metrics.BUILD_INFO.follow(lambda: {(version, process): 1.0})
    OF_PROCESS.begin(settings.stalled_after)
    with Endpoint(settings.host, port, _pages()) if (port := port_of(settings, process)) else nullcontext():
        yield


def _pages() -> dict[str, Callable[[], Reply]]:
    return {
        LIVE: lambda: _reply(OF_PROCESS.live),
        READY: lambda: _reply(OF_PROCESS.ready),
        STARTED: lambda: _reply(OF_PROCESS.started),
        METRICS: _Page(),
    }


def _reply(answer: Answer) -> Reply:
    return Reply(HTTPStatus.OK if answer.is_yes else HTTPStatus.SERVICE_UNAVAILABLE, f"{answer.why}\n".encode())


class _Page:
    """The metrics as text, made at most once in RENDER_INTERVAL."""

    def __init__(self) -> None:
        from worker.observability import exposition  # noqa: PLC0415 - 5 MB that a process without a port does without

        self._text, self._type = exposition.text, exposition.CONTENT_TYPE
        self._made, self._at = b"", -RENDER_INTERVAL

    def __call__(self) -> Reply:
        if time.monotonic() >= self._at + RENDER_INTERVAL:
            self._made, self._at = self._text(), time.monotonic()
        return Reply(HTTPStatus.OK, self._made, self._type)
