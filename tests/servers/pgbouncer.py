"""A PgBouncer on loopback, as the packages configure it: it knows no start packet but the plain one."""

import os
import shutil
from pathlib import Path

import psycopg

from servers.daemon import Daemon, ServerMissingError
from servers.ports import free_port
from servers.waiting import wait_until

_CONFIG = """[databases]
* = host=127.0.0.1 port={server} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = 4
"""


class PgBouncer:
    """A pooler in the folder *home* before the server at the port *server*; *mode* is session or transaction."""

    def __init__(self, home: Path, server: int, mode: str) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self._config = home / "pgbouncer.ini"
        self._config.touch(0o644)
        self._config.write_text(_CONFIG.format(server=server, port=self.port, mode=mode))
        self._pooler = Daemon(home, "pgbouncer")

    def start(self) -> None:
        """Return when it answers."""
        program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
        if program is None:
            raise ServerMissingError("pgbouncer is not installed: run .ci/install-servers")
        user = "postgres" if os.geteuid() == 0 else None  # it refuses to run as root
        self._pooler.start([program, "-q", str(self._config)], {"PATH": os.environ["PATH"]}, user=user)
        wait_until(self._answers, 10.0, "PgBouncer to start")

    def close(self) -> None:
        """End it."""
        self._pooler.kill9()

    def _answers(self) -> bool:
        if not self._pooler.running:
            raise ServerMissingError(f"PgBouncer did not start:\n{self._pooler.tail}")
        try:
            psycopg.connect(f"host=127.0.0.1 port={self.port} user=postgres dbname=postgres connect_timeout=5").close()
        except psycopg.OperationalError:
            return False
        return True
