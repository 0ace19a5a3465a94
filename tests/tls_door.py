"""A TLS server for one test that writes down all it hears, and the ways in which a server can be the wrong one."""

import contextlib
import socket
import ssl
import threading
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Self

from certificates import Authority, self_signed, server_side

HERE: Final = "127.0.0.1"


class Door:
    """Takes connections on a free port of 127.0.0.1 and never answers. `heard` is what came through the encryption."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.met = 0  # handshakes that began
        self.heard = bytearray()
        self._context = context
        self._socket = socket.create_server((HERE, 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, name="door")
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        """Let the last caller finish: afterwards `heard` is complete."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._socket.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                caller, _ = self._socket.accept()
                caller.settimeout(10)
                with contextlib.suppress(ConnectionError):
                    self._listen_to(caller)

    def _listen_to(self, caller: socket.socket) -> None:
        """Hear one caller's first words and hang up; one that is refused is told so, and may hang up first."""
        self.met += 1
        with self._context.wrap_socket(caller, server_side=True, do_handshake_on_connect=False) as safe:
            try:
                safe.do_handshake()
                self.heard += safe.recv(65_536)
            except OSError:
                while socket.socket.recv(safe, 65_536):  # closing sooner would take back what it is told
                    pass


def good(authority: Authority) -> ssl.SSLContext:
    """The right server."""
    return server_side(authority.issue(HERE))


def asking(authority: Authority) -> ssl.SSLContext:
    """The right server, which asks for a client's certificate."""
    return server_side(authority.issue(HERE), authority.file)


def outdated(authority: Authority) -> ssl.SSLContext:
    """The right server, which speaks nothing newer than TLS 1.1."""
    context = good(authority)
    context.set_ciphers("ALL:@SECLEVEL=0")  # OpenSSL 3 has TLS 1.1 at no other level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


def _of_nobody(authority: Authority) -> ssl.SSLContext:
    return server_side(self_signed(authority.file.parent))


def _of_another_authority(authority: Authority) -> ssl.SSLContext:
    return good(Authority(authority.file.parent / "another"))


WRONG: Final[Mapping[str, Callable[[Authority], ssl.SSLContext]]] = {
    "another host": lambda authority: server_side(authority.issue("other.test")),
    "expired": lambda authority: server_side(authority.issue(HERE, expired=True)),
    "self-signed": _of_nobody,
    "unknown authority": _of_another_authority,
    "TLS 1.1": outdated,
    "asks for a certificate": asking,
}


def speaks_tls_1_1(port: int, authority: Path) -> bool:
    """Whether a client that knows no better gets through to *port* with TLS 1.1."""
    careless = ssl.create_default_context(cafile=authority)
    careless.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        careless.minimum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection((HERE, port)) as plain, careless.wrap_socket(plain, server_hostname=HERE) as safe:
        return safe.version() == "TLSv1.1"
