"""The client alone: aiohttp against the provider, without any broker. It also shows what the provider can take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from servers import Daemon

from benchmarks.contestants import Contestant
from benchmarks.peer import IN_FLIGHT
from benchmarks.stage import PEERS, Stage, peers_python
from worker.broker.publication import Message

EXPECTED: Final = {"asyncio": 6500, "uvloop": 7000}


class BareClient(Contestant):
    """aiohttp's client in a process of its own, told beforehand how many calls to make."""

    broker = "-"
    broker_url = ""

    def __init__(self, style: str, stage: Stage) -> None:
        self._style, self._stage, self._calls = style, stage, 0
        self.name = f"bare aiohttp client, {style}"
        self.expected = EXPECTED[style]
        self.configuration = f"no broker, {IN_FLIGHT} in flight, lean session"

    def prepare(self) -> None:
        """Nothing: there is no queue."""

    def messages(self, count: int) -> list[Message]:
        """As many empty ones: it makes its calls by itself."""
        self._calls = count
        return [Message("", "", b"", message_id="")] * count

    def fill(self, messages: Sequence[Message]) -> None:
        """Nothing, for the same reason."""

    def start(self) -> list[Daemon]:
        """Start it; it begins at once."""
        env = {
            "BENCH_PROVIDER": self._stage.provider.base_url,
            "BENCH_IN_FLIGHT": str(IN_FLIGHT),
            "BENCH_CALLS": str(self._calls),
            "BENCH_STYLE": self._style,
        }
        return [self._stage.processes.start(peers_python(), str(PEERS / "bare_client.py"), env=env, name="bare")]

    def waiting(self) -> int:
        """Nothing waits."""
        return 0
