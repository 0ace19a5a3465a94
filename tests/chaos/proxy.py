"""A TCP proxy that fails on request: put between any two parts, controlled while connections run through it."""

import asyncio
import socket
import ssl
import struct
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, Self, TypeVar

T = TypeVar("T")
End = tuple[asyncio.StreamReader, asyncio.StreamWriter]

CHUNK: Final = 65_536  # bytes forwarded at once
LOOK: Final = 0.005  # seconds between two looks at what the fault says now
_RST: Final = struct.pack("ii", 1, 0)  # SO_LINGER on, for 0 seconds: close() sends RST instead of FIN


class Way(Enum):
    """A direction: `UP` goes from the client to the target, `DOWN` comes back."""

    UP = auto()
    DOWN = auto()


BOTH: Final = frozenset(Way)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with the line, for connections that are open and for those to come; as it is made, nothing.

    | member | the line |
    |---|---|
    | `latency` | holds every chunk back for so many seconds |
    | `drip` | lets one byte through, then waits so many seconds |
    | `stuck` | carries nothing these ways and closes nothing; what was sent arrives once it is healed, as TCP would |
    | `refuse` | resets every new connection |
    | `slow_close` | passes an end on so many seconds late |
    """

    latency: float = 0.0
    drip: float = 0.0
    stuck: frozenset[Way] = frozenset()
    refuse: bool = False
    slow_close: float = 0.0


WELL: Final = Fault()
BLACK_HOLE: Final = Fault(stuck=BOTH)


class Proxy:
    """Listens on a free port of 127.0.0.1, or on *port*, and forwards to *target*, a port there; in its own thread.

    `carried` counts the bytes delivered each way, over all connections. With *tls* it speaks TLS with its clients only.
    """

    def __init__(self, target: int, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.target = target
        self.carried: Counter[Way] = Counter()
        self.fault = WELL
        self._cuts: dict[Way, int] = {}  # bytes each way may still carry before its connection is reset
        self._open: set[asyncio.StreamWriter] = set()
        self._closing = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)
        self._thread.start()
        self._server = self._on_loop(lambda: asyncio.start_server(self._accept, "127.0.0.1", port, ssl=tls))
        self.port: int = self._server.sockets[0].getsockname()[1]

    def break_with(self, fault: Fault) -> None:
        """From now on *fault*, in place of the last one."""
        self.fault = fault

    def heal(self) -> None:
        """Nothing is wrong any more; what was held back goes on, a cut that did not come is called off."""
        self.fault = WELL
        self._cuts.clear()

    def reset(self) -> None:
        """Reset every open connection, at both ends; new ones are served."""
        self._on_loop(self._reset_all)

    def cut_after(self, count: int, way: Way = Way.UP) -> None:
        """Carry *count* (at least one) more bytes that way, then reset the connection that had the last. Once."""
        self._cuts[way] = count

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._open) // 2

    def close(self) -> None:
        """Reset what is open and stop."""
        self._on_loop(self._shut)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _on_loop(self, function: Callable[[], Awaitable[T]]) -> T:
        async def run() -> T:
            return await function()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(10)

    async def _accept(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        """One connection, from its first byte to its last; any error ends both ways, as a broken line does."""
        ends = {client}
        self._open |= ends
        try:
            if self.fault.refuse:
                raise ConnectionRefusedError
            there, target = await asyncio.open_connection("127.0.0.1", self.target)
            ends.add(target)
            self._open.add(target)
            async with asyncio.TaskGroup() as ways:
                for way in self._ways((reader, client), (there, target)):
                    ways.create_task(way)
        except* OSError:
            _reset(ends)
        finally:
            self._open -= ends
            for end in ends:
                end.close()

    def _ways(self, client: End, target: End) -> Iterable[Coroutine[None, None, None]]:
        """What carries one connection, each way."""
        return self._carry(client[0], target[1], Way.UP), self._carry(target[0], client[1], Way.DOWN)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way) -> None:
        while data := await reader.read(CHUNK):
            await self._pause(self.fault.latency)
            while data:
                await _until(lambda: way not in self.fault.stuck)
                await self._pause(self.fault.drip)
                piece = data[: 1 if self.fault.drip else self._cuts.get(way, CHUNK)]
                data = data[len(piece) :]
                writer.write(piece)
                await writer.drain()
                self._count(len(piece), way)
        await self._pause(self.fault.slow_close)
        if writer.can_write_eof():
            writer.write_eof()
        else:  # TLS knows no half of an end
            writer.close()

    def _count(self, size: int, way: Way) -> None:
        """Note what was carried; where the cut was to come after it, break the line."""
        self.carried[way] += size
        if way in self._cuts:
            self._cuts[way] -= size
            if self._cuts[way] == 0:
                del self._cuts[way]
                raise ConnectionResetError

    async def _pause(self, seconds: float) -> None:
        end = self._loop.time() + seconds
        await _until(lambda: self._closing or self._loop.time() >= end)

    async def _reset_all(self) -> None:
        _reset(self._open)

    async def _shut(self) -> None:
        self._closing = True
        self._server.close()
        self.heal()
        _reset(self._open)
        await _until(lambda: not self._open)


async def _until(true: Callable[[], bool]) -> None:
    """What is waited for changes in other threads, so it is looked at again and again."""
    while not true():  # noqa: ASYNC110 - see above
        await asyncio.sleep(LOOK)


def _reset(writers: Iterable[asyncio.StreamWriter]) -> None:
    for writer in writers:
        if writer.transport.is_closing():
            continue  # one of TLS that was closed twice has no socket to ask for
        if sock := writer.get_extra_info("socket"):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST)
            writer.transport.abort()
