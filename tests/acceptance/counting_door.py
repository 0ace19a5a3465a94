"""A TCP relay that tells of each piece before it passes it on: who is told may kill the program that waits for it."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Self


class CountingDoor:
    """Listens on a free port of 127.0.0.1 and passes everything on to *target*, a port there."""

    def __init__(self, target: int, on_piece: Callable[[], object]) -> None:
        self._target, self._on_piece = target, on_piece
        self._server = socket.create_server(("127.0.0.1", 0))
        self._sockets = [self._server]
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        for each in self._sockets:
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._target))
            self._sockets += [client, server]
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._pass, args=(source, sink), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):  # the other end is gone: a killed program resets its connections
            while data := source.recv(65_536):
                self._on_piece()
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
