"""A private PostgreSQL cluster on loopback, without durability: it lives as long as the test run."""

import os
import shutil
import signal
import subprocess
from pathlib import Path
from uuid import uuid4

import psycopg

from servers.daemon import Daemon, ServerMissingError
from servers.ports import free_port
from servers.waiting import wait_until

_START_SECONDS = 60.0
# What a throwaway cluster does without: syncing to disk, a socket file, memory for real data.
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "200",
}


class PostgresCluster:
    """One PostgreSQL cluster whose whole state is the folder *home*: any process that knows it can use it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._data = home / "data"
        self._programs = _programs()
        home.mkdir(parents=True, exist_ok=True)
        self._port = _port(home / "port")
        self._followers: list[PostgresCluster] = []
        self._server = Daemon(home, "postgres", farewell=signal.SIGINT)  # killed, it leaks shared memory

    @property
    def running(self) -> bool:
        """Whether its first process lives."""
        return self._server.running

    def start(self) -> None:
        """Make the cluster when it is new, start it, and return when it answers; trust is for loopback only."""
        if not self._data.exists():
            self._make()
        settings = [word for name, value in _SETTINGS.items() for word in ("-c", f"{name}={value}")]
        argv = [str(self._programs / "postgres"), "-D", str(self._data), "-p", str(self._port), *settings]
        self._server.start(argv, _environment(), user=_user())
        wait_until(self._answers, _START_SECONDS, "PostgreSQL to start")

    def stop(self) -> None:
        """Shut it down, and what follows it; its databases stay for the next `start`."""
        for each in self._followers:
            each.stop()
        self._server.stop(signal.SIGINT, timeout=30.0)

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._port

    def make_read_only(self) -> None:
        """Have every session, those that are open too, refuse to write: as a server that another took over from."""
        self._run("ALTER SYSTEM SET default_transaction_read_only = on")
        self._run("SELECT pg_reload_conf()")

    def standby(self) -> "PostgresCluster":
        """A running server that follows this one."""
        copy = PostgresCluster(self.home.with_name(f"{self.home.name}-standby"))
        user = _user()
        if user is not None:
            shutil.chown(copy.home, user, user)
        where = ["-h", "127.0.0.1", "-p", str(self._port), "-U", "postgres"]
        argv = [str(self._programs / "pg_basebackup"), *where, "-D", str(copy._data), "-R", "-X", "stream", "-cfast"]
        subprocess.run(
            argv,
            env=_environment(),
            cwd=copy.home,
            capture_output=True,
            check=True,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
        )
        copy.start()
        self._followers.append(copy)
        return copy

    def promote(self) -> None:
        """Let a standby take over."""
        self._run("SELECT pg_promote()")

    def url(self, database: str) -> str:
        """Return the SQLAlchemy URL of *database*."""
        return f"postgresql+psycopg://postgres@127.0.0.1:{self._port}/{database}"

    def new_database(self, template: str = "template1") -> str:
        """Make a database, empty or as *template*, and return its name."""
        database = f"test_{uuid4().hex[:12]}"
        self._run(f"CREATE DATABASE {database} TEMPLATE {template}")
        return database

    def has_database(self, database: str) -> bool:
        """Whether there is one of that name."""
        with self._connect() as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database])
            return found.fetchone() is not None

    def rename_database(self, database: str, name: str) -> None:
        """Call *database*, to which nobody is connected, *name* from now on."""
        self._run(f"ALTER DATABASE {database} RENAME TO {name}")

    def drop_database(self, database: str) -> None:
        """Drop *database*, its connections with it."""
        self._run(f"DROP DATABASE {database} WITH (FORCE)")

    def _run(self, statement: str) -> None:
        with self._connect() as connection:
            connection.execute(statement.encode())

    def _connect(self) -> psycopg.Connection:
        where = f"host=127.0.0.1 port={self._port} user=postgres dbname=postgres connect_timeout=10"
        return psycopg.connect(where, autocommit=True)

    def _answers(self) -> bool:
        if not self.running:
            raise ServerMissingError(f"PostgreSQL did not start:\n{self._server.tail}")
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def _make(self) -> None:
        user = _user()
        if user is not None:
            shutil.chown(self.home, user, user)
        initdb = [str(self._programs / "initdb"), "-D", str(self._data), "-U", "postgres", "--auth=trust"]
        done = subprocess.run(
            [*initdb, "--no-sync", "--encoding=UTF8", "--locale=C"],
            env=_environment(),
            cwd=self.home,
            capture_output=True,
            text=True,
            check=False,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
        )
        if done.returncode != 0:
            raise ServerMissingError(f"initdb failed: {done.stderr}")


def _user() -> str | None:
    """PostgreSQL refuses to run as root: there the package's own user runs it."""
    return "postgres" if os.geteuid() == 0 else None


def _environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TZ": "UTC"}


def _programs() -> Path:
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    found = shutil.which("initdb") if not debian else str(debian[-1])
    if found is None:
        raise ServerMissingError("initdb is not installed: run .ci/install-servers (package postgresql)")
    return Path(found).resolve().parent


def _port(remembered: Path) -> int:
    if not remembered.exists():
        remembered.write_text(str(free_port()))
    return int(remembered.read_text())
