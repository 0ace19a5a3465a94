"""Postroom, a small service on which people are signed in: its README.md is the documentation of its API."""

import argparse
import json
import re
from collections.abc import Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

PAGE: Final = 2  # devices
_DEVICES: Final = re.compile(r"/v1/people/([0-9]+)/devices(?:/from/([0-9]+))?")
_DEVICE: Final = re.compile(r"/v1/devices/(dev-[0-9a-f]+)")


class Postroom(ThreadingHTTPServer):
    """The service at *port* of this machine, for whoever has *key*; *devices* of each person, by their ids."""

    daemon_threads = True

    def __init__(self, port: int, key: str, devices: dict[str, list[str]]) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.key, self.devices = key, devices
        self.asked: list[str] = []  # every request, in order

    def page(self, person: str, start: int) -> tuple[HTTPStatus, dict[str, Any] | None]:
        """Return a page of what *person* is signed in on."""
        if (devices := self.devices.get(person)) is None:
            return HTTPStatus.NOT_FOUND, None
        more = f"/v1/people/{person}/devices/from/{start + PAGE}" if len(devices) > start + PAGE else None
        shown = [{"id": each, "name": "a device"} for each in devices[start : start + PAGE]]
        return HTTPStatus.OK, {"devices": shown, "next": more}

    def sign_out(self, device: str) -> HTTPStatus:
        """Sign *device* out."""
        for devices in self.devices.values():
            if device in devices:
                devices.remove(device)
                return HTTPStatus.NO_CONTENT
        return HTTPStatus.NOT_FOUND


class _Handler(BaseHTTPRequestHandler):
    server: Postroom
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        found = _DEVICES.fullmatch(self.path)
        self._answer(*(self.server.page(found[1], int(found[2] or 0)) if found else (HTTPStatus.NOT_FOUND, None)))

    def do_HEAD(self) -> None:
        self._answer(HTTPStatus.NOT_FOUND, None)

    def do_DELETE(self) -> None:
        found = _DEVICE.fullmatch(self.path)
        is_ours = self.headers.get("X-Postroom-Key") == self.server.key
        self._answer(self.server.sign_out(found[1]) if found and is_ours else HTTPStatus.NOT_FOUND, None)

    def _answer(self, status: HTTPStatus, body: dict[str, Any] | None) -> None:
        if self.headers.get("X-Postroom-Key") != self.server.key:
            status, body = HTTPStatus.FORBIDDEN, None
        self.server.asked.append(f"{self.command} {self.path}")
        content = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        if content:
            self.send_header("Content-Type", "application/json")
        if status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content if self.command != "HEAD" else b"")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as its base calls it
        """Write nothing."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve person 4711, who is signed in on five devices, until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8077)
    parser.add_argument("--key", default="postroom-example-key")
    told = parser.parse_args(arguments)
    devices = {"4711": [f"dev-{number:x}" for number in range(5)]}
    with Postroom(told.port, told.key, devices) as service:
        print(f"Postroom listens on http://127.0.0.1:{told.port}", flush=True)
        service.serve_forever()


if __name__ == "__main__":
    main()
