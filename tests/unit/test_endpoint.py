"""The endpoint of a process: whoever asks, and however, is in nobody's way."""

import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http import HTTPStatus

import pytest
from exposed import page
from servers import free_port, wait_until

from worker.observability import endpoint
from worker.observability.endpoint import MAX_CONNECTIONS, MAX_REQUEST, TIMEOUT, Endpoint, Reply

BODY = b"as it is\n"


def fails() -> Reply:
    """A page with a bug."""
    raise RuntimeError("a bug")


PAGES = {"/page": lambda: Reply(HTTPStatus.OK, BODY), "/no": lambda: Reply(HTTPStatus.SERVICE_UNAVAILABLE, b"no\n")}


@pytest.fixture
def port() -> Iterator[int]:
    """The port of an endpoint that listens."""
    with Endpoint("127.0.0.1", found := free_port(), {**PAGES, "/fails": fails}):
        wait_until(lambda: is_open(found), 5, "the endpoint to listen")
        yield found


def is_open(port: int) -> bool:
    """Whether somebody listens."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def told(port: int, request: bytes) -> bytes:
    """All that is answered to *request* until the connection is closed."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request)
        answer = b""
        try:
            while more := connection.recv(65_536):
                answer += more
        except ConnectionResetError:
            return answer
        return answer


def test_pages_are_answered_and_nothing_else(port: int) -> None:
    """A path that is none, a method that is not GET, a query that nobody reads."""
    assert page(port, "/page") == page(port, "/page?x=1") == (200, BODY.decode())
    assert page(port, "/no") == (503, "no\n")
    assert page(port, "/elsewhere")[0] == 404
    assert told(port, b"POST /page HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 405 ")
    answer = told(port, b"GET /page HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.endswith(b"\r\n\r\n" + BODY)
    assert b"\r\nContent-Length: 9\r\n" in answer


def test_a_page_with_a_bug_says_so_and_the_others_go_on(port: int, caplog: pytest.LogCaptureFixture) -> None:
    """A fault of ours is a line in the log, not the end of the endpoint."""
    assert page(port, "/fails")[0] == 500
    assert [each.message for each in caplog.records if each.levelno == logging.ERROR] == ["monitoring.fault"]
    assert page(port, "/page")[0] == 200


def test_who_holds_connections_open_keeps_nobody_out(port: int) -> None:
    """Three times as many as there may be, each in the middle of a request: the next one is answered at once."""
    with ExitStack() as held:
        for _ in range(3 * MAX_CONNECTIONS):
            slow = held.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
            slow.sendall(b"GET /page HTT")
        started = time.monotonic()
        assert page(port, "/page")[0] == 200
        assert time.monotonic() - started < TIMEOUT  # it waited for none of them to be cut


def test_a_request_without_end_is_dropped(port: int) -> None:
    """It is not read into memory: the connection ends."""
    assert told(port, b"GET /page HTTP/1.1\r\nX: " + b"x" * 4 * MAX_REQUEST) == b""
    assert page(port, "/page")[0] == 200


def test_who_neither_asks_nor_reads_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """After its time, whatever it does: a drop of a request now and then, or an answer left unread."""
    monkeypatch.setattr(endpoint, "TIMEOUT", 0.3)
    large = Reply(HTTPStatus.OK, b"x" * 30_000_000)
    with Endpoint("127.0.0.1", port := free_port(), {"/large": lambda: large}):
        wait_until(lambda: is_open(port), 5, "the endpoint to listen")
        threads = threading.active_count()
        started = time.monotonic()
        assert told(port, b"GET /la") == b""
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(b"GET /large HTTP/1.1\r\n\r\n")
            time.sleep(0.6)
            assert len(_rest(connection)) < len(large.body)
        assert time.monotonic() - started < 5
        assert threading.active_count() == threads


def _rest(connection: socket.socket) -> bytes:
    found = b""
    try:
        while more := connection.recv(1_000_000):
            found += more
    except ConnectionResetError:
        return found
    return found


def test_a_port_that_is_taken_is_said_once_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The process goes on without; when the port is free, the endpoint is there."""
    monkeypatch.setattr(endpoint, "RETRY_INTERVAL", 0.05)
    caplog.set_level(logging.INFO, "worker.observability.endpoint")
    with ExitStack() as opened:
        taken = opened.enter_context(socket.create_server(("127.0.0.1", 0)))
        port = taken.getsockname()[1]
        opened.enter_context(Endpoint("127.0.0.1", port, PAGES))
        wait_until(lambda: caplog.records, 5, "a line")
        time.sleep(0.3)
        [line] = caplog.records
        assert (line.message, line.levelno, vars(line)["port"]) == ("monitoring.unavailable", logging.WARNING, port)
        taken.close()
        wait_until(lambda: len(caplog.records) > 1, 5, "the endpoint to listen")
        assert page(port, "/page")[0] == 200
    assert [each.message for each in caplog.records] == ["monitoring.unavailable", "monitoring.listening"]


def test_an_address_of_another_machine_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """And the end of the process does not wait for it."""
    with Endpoint("192.0.2.1", 9461, PAGES):
        wait_until(lambda: caplog.records, 10, "a line")
    assert [each.message for each in caplog.records] == ["monitoring.unavailable"]
