"""The lines between the parts of an installation, each through a fault proxy of its own where a row asks for one."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Any, Final
from urllib.parse import urlsplit

from system import System

from chaos.proxy import Proxy

PREFIX: Final = "REVOKER_"


class Lines(AbstractContextManager["Lines"]):
    """The proxies of *links*, each named "<who>-<whom>".

    Who: `publisher` (the scene's own), `intake`, `worker`, `recorder`. Whom: `broker` (RabbitMQ), `ledger`
    (PostgreSQL), `provider` (all instances) or an instance, e.g. `worker-genesys-eu`.
    """

    def __init__(self, links: Sequence[str], system: System) -> None:
        self._stack = ExitStack()
        self._settings = _urls(system)
        self._proxies = {link: self._stack.enter_context(Proxy(self._port(link))) for link in links}

    def __getitem__(self, link: str) -> Proxy:
        return self._proxies[link]

    def env(self, who: str) -> dict[str, str]:
        """The settings that lead process *who* through its proxies."""
        return {
            f"{PREFIX}{'__'.join(path).upper()}": _through(url, proxy.port)
            for link, proxy in self._proxies.items()
            for path, url in self._leading(link)
            if link.startswith(f"{who}-")
        }

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def _leading(self, link: str) -> list[tuple[tuple[str, ...], str]]:
        """The settings that lead to the other end of *link*."""
        whom = link.partition("-")[2]
        return [(path, url) for path, url in self._settings.items() if whom in _known_as(path)]

    def _port(self, link: str) -> int:
        return urlsplit(self._leading(link)[0][1]).port or 0


def _urls(system: System) -> dict[tuple[str, ...], str]:
    flat = _flattened(system.document)
    return {path: value for path, value in flat.items() if path[-1].endswith("_url") and isinstance(value, str)}


def _flattened(document: Mapping[str, Any], above: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    flat: dict[tuple[str, ...], Any] = {}
    for name, value in document.items():
        flat |= _flattened(value, (*above, name)) if isinstance(value, Mapping) else {(*above, name): value}
    return flat


def _known_as(path: tuple[str, ...]) -> set[str]:
    return {"provider", path[1]} if path[0] == "providers" else {path[0].removesuffix("_url")}


def _through(url: str, port: int) -> str:
    there = urlsplit(url)
    return url.replace(f"{there.hostname}:{there.port}", f"127.0.0.1:{port}", 1)
