"""Who may stand at a provider's address instead of the provider, and the name that leads there."""

import contextlib
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, Self

LOOK: Final = 0.1  # seconds between two looks whether it is over

_RESOLVER: Final = """import os, socket
real = socket.getaddrinfo
def getaddrinfo(host, port, *args, **options):
    if host != {name!r}:
        return real(host, port, *args, **options)
    if not os.path.exists({known!r}):
        raise socket.gaierror(socket.EAI_NONAME, "no such name")
    return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", port))]
socket.getaddrinfo = getaddrinfo
"""


class Impostor:
    """Listens on a free port of 127.0.0.1, or on *port*, and answers each request with the next of *answers*.

    An answer is sent piece by piece; then the caller is the one to hang up. `heard` is what all of them said first.
    """

    def __init__(self, answers: Iterator[Iterable[bytes]], port: int = 0) -> None:
        self.asked = 0
        self.heard = bytearray()
        self._answers, self._lock = answers, threading.Lock()
        self._is_over = threading.Event()
        self._callers: list[socket.socket] = []
        self._socket = socket.create_server(("127.0.0.1", port), backlog=128)
        self._socket.settimeout(LOOK)
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, name="impostor", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._is_over.set()
        self._thread.join()
        for each in (self._socket, *self._callers):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)  # wakes whoever reads or writes there
        self._socket.close()

    def _accept(self) -> None:
        while not self._is_over.is_set():
            with contextlib.suppress(TimeoutError):
                caller, _ = self._socket.accept()
                caller.settimeout(None)
                self._callers.append(caller)
                threading.Thread(target=self._serve, args=(caller,), name="impostor's", daemon=True).start()

    def _serve(self, caller: socket.socket) -> None:
        with contextlib.suppress(OSError), caller:
            said = caller.recv(65_536)
            for piece in self._answer(said) if said else ():
                caller.sendall(piece)
            while caller.recv(65_536):
                pass

    def _answer(self, said: bytes) -> Iterable[bytes]:
        with self._lock:
            self.asked += 1
            self.heard += said
            return next(self._answers)


@contextlib.contextmanager
def deaf(port: int) -> Iterator[None]:
    """Nobody takes a connection on *port*: the queue of those who want one is full, so that connecting never ends."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(socket.create_server(("127.0.0.1", port), backlog=0))
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)  # noqa: FBT003 - the socket's own signature
            waiting.connect_ex(("127.0.0.1", port))
        yield


class Name:
    """A host name that processes started with `env` resolve to 127.0.0.1, but not before it `resolves`."""

    def __init__(self, name: str, home: Path) -> None:
        self._home, self._known = home / "resolver", home / "name-resolves"
        self._home.mkdir()
        (self._home / "sitecustomize.py").write_text(_RESOLVER.format(name=name, known=str(self._known)))

    def resolves(self) -> None:
        """From now on."""
        self._known.touch()

    @property
    def env(self) -> Mapping[str, str]:
        """The environment of a process that asks here."""
        return {"PYTHONPATH": str(self._home)}


def answer(status: str, body: bytes = b"", *headers: str) -> list[bytes]:
    """A whole HTTP answer, after which the connection is not used again."""
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "Connection: close", "", ""]
    return ["\r\n".join(lines).encode() + body]
