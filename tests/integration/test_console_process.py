"""`revoker console` as a process: where it listens, how it stops, and what it says where it cannot."""

import re
import socket
from contextlib import AsyncExitStack
from urllib.request import Request, urlopen

from cli_installation import Installation
from exposed import page
from servers import Processes, free_port, wait_until
from sign_in_door import Door
from test_cli_processes import environment

from worker.console.sign_in.person import Person
from worker.console.sign_in.roles import Role
from worker.console.sign_in.sessions import Sessions
from worker.settings import Settings

pytest_plugins = ["console_fixtures"]


def test_the_process_says_where_it_listens_and_stops_in_order(installation: Installation, processes: Processes) -> None:
    """Its health is asked at a port of its own; a stream of news that is open keeps it from nothing."""
    monitoring = free_port()
    more = {"REVOKER_CONSOLE__PORT": "0", "REVOKER_MONITORING__PORT": str(monitoring)}
    more["REVOKER_CONSOLE__USERS_FILE"] = str(Door(installation, AsyncExitStack()).file)
    process = processes.start("revoker", "console", env=environment(installation) | more, name="console")
    [url] = wait_until(lambda: re.findall(r"http://127\.0\.0\.1:\d+", process.output), 30, "the console's address")
    assert page(monitoring, "/readyz") == (200, "listening\n")
    assert 'process="console"' in page(monitoring, "/metrics")[1]
    person = Person("olga", Role.OPERATOR, "password", ("olga",))
    secret = Sessions(Settings.load(), installation.desk.ledger).begin(person, "127.0.0.1").secret
    with urlopen(Request(f"{url}/live", headers={"Cookie": f"revoker-session={secret}"}), timeout=10) as stream:
        assert stream.readline().startswith(b"id: ")
        assert process.stop(timeout=10) == 0, process.tail


def test_a_port_that_is_taken_ends_it_with_one_line(installation: Installation, processes: Processes) -> None:
    """Which names the setting."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        more = {"REVOKER_CONSOLE__PORT": str(taken.getsockname()[1]), "REVOKER_MONITORING__PORT": "0"}
        done = processes.run("revoker", "console", env=environment(installation) | more)
    assert done.returncode == 1
    assert "console.port" in done.stderr
    assert "Traceback" not in done.stderr
