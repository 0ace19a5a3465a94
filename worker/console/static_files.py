"""Style, scripts and pictures: each under a name that holds its hash, so that a browser may keep it for ever."""

import hashlib
from collections.abc import Iterator
from importlib.resources import files
from typing import Final

from aiohttp import web

_TYPES: Final = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_FOREVER: Final = {"Cache-Control": "public, max-age=31536000, immutable"}


class StaticFiles:
    """The files of the folder `static`, as they were at the start."""

    def __init__(self) -> None:
        self._paths: dict[str, str] = {}
        self._found: dict[str, tuple[bytes, str]] = {}
        for name, kind, content in _read():
            path = f"/static/{hashlib.sha256(content).hexdigest()[:16]}/{name}"
            self._paths[name], self._found[path] = path, (content, _TYPES[kind])

    def path(self, name: str) -> str:
        """Return where *name* is served."""
        return self._paths[name]

    async def serve(self, request: web.Request) -> web.Response:
        """Answer with a file. Raises HTTPNotFound."""
        if request.path not in self._found:
            raise web.HTTPNotFound(text="no such file; load the page anew")
        content, content_type = self._found[request.path]
        return web.Response(body=content, content_type=content_type, charset="utf-8", headers=_FOREVER)


def _read() -> Iterator[tuple[str, str, bytes]]:
    for file in files("worker.console").joinpath("static").iterdir():
        kind = file.name.rpartition(".")[2]
        if kind in _TYPES:
            yield file.name, kind, file.read_bytes()
