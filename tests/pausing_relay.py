"""A TCP relay that can hold back what a server answers on the connections that are open at that moment."""

import socket
import threading
from typing import Self


class PausingRelay:
    """Listens on a port of its own and passes everything on to *port*, both on 127.0.0.1."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._gates: list[threading.Event] = []
        self._sockets: list[socket.socket] = [self._server]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def connections(self) -> int:
        """How many there have been."""
        return len(self._gates)

    def pause(self) -> None:
        """Hold back the server's answers on all connections that are open; later ones are not concerned."""
        for gate in self._gates:
            gate.clear()

    def resume(self) -> None:
        """Let through what was held back, in its order."""
        for gate in self._gates:
            gate.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.resume()
        for each in self._sockets:
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._target))
            gate, always = threading.Event(), threading.Event()
            gate.set()
            always.set()
            self._gates.append(gate)
            self._sockets += [client, server]
            for source, sink, through in ((client, server, always), (server, client, gate)):
                threading.Thread(target=_pass, args=(source, sink, through), daemon=True).start()


def _pass(source: socket.socket, sink: socket.socket, through: threading.Event) -> None:
    try:
        while data := source.recv(65_536):
            through.wait()
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        source.close()
