"""The running provider, as the harness sees it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final

from servers import Daemon, Processes, free_port, wait_until

_PROGRAM: Final = Path(__file__).with_name("provider.py")


@dataclass(frozen=True, slots=True)
class Figures:
    """What the provider counted since its last reset, at one moment of the monotonic clock."""

    now: float
    requests: int
    ids: int
    cpu: float  # seconds the provider itself used since its start
    hanging: int  # requests that are never answered


class CountingProvider:
    """`provider.py` in a process of its own."""

    def __init__(self, processes: Processes, python: str) -> None:
        self._port = free_port()
        self._daemon: Daemon = processes.start(python, str(_PROGRAM), str(self._port), name="provider")
        self._door = HTTPConnection("127.0.0.1", self._port, timeout=30)
        wait_until(self._answers, 20, "the provider to answer")

    @property
    def pid(self) -> int:
        """Its process."""
        return self._daemon.pid

    @property
    def base_url(self) -> str:
        """What the names of provider instances are put after."""
        return f"http://127.0.0.1:{self._port}"

    def reset(self, latency: float) -> None:
        """Forget what was counted; answer after *latency* seconds."""
        self._ask("POST", f"/_reset?{latency * 1000:g}")

    def hang(self, provider: str) -> None:
        """Answer no revocation of *provider* any more, until the next reset."""
        self._ask("POST", f"/_hang?{provider}")

    def answer_wibmo(self, body: bytes) -> None:
        """Answer Wibmo's calls with *body*."""
        self._ask("POST", "/_wibmo", body)

    def figures(self) -> Figures:
        """Return what was counted up to now."""
        return Figures(**self._ask("GET", "/_figures"))

    def arrivals(self) -> dict[str, float]:
        """When each id was seen first, on the monotonic clock."""
        arrivals: dict[str, float] = self._ask("GET", "/_arrivals")
        return arrivals

    def close(self) -> None:
        """Hang up; its process ends with the others."""
        self._door.close()

    def _answers(self) -> bool:
        try:
            self.figures()
        except OSError:
            self._door.close()
            return False
        return True

    def _ask(self, method: str, path: str, body: bytes | None = None) -> Any:  # noqa: ANN401 - JSON
        self._door.request(method, path, body)
        return json.loads(self._door.getresponse().read())
