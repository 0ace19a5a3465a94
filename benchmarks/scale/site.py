"""The processes at a large ledger: a console for some operators, and a recorder with what it is to record."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from servers import Daemon, Processes, wait_until
from sqlalchemy import delete

from benchmarks.installation import Installation
from benchmarks.scale.settings import SUBJECT_KEY, YEAR
from benchmarks.scale.world import PROVIDERS
from worker import broker
from worker.broker import topology
from worker.broker.publisher import Publisher
from worker.database.tables import calls, events, subjects
from worker.ledger import Ledger
from worker.operations.passwords import hashed

OPERATORS: Final = tuple(f"operator-{number}" for number in range(10))
PASSWORD: Final = "a password that is measured with"  # noqa: S105 - of a console that lasts for a minute
_BATCH: Final = 500  # records that are published together
_KEPT: Final = ("events_days", "letters_days", "audit_days")
_OURS: Final = "bench-"  # how the ids of events begin that the recorder is given


class Site:
    """A console and a recorder in the folder *home*, on the ledger at *ledger_url* and a broker of their own."""

    def __init__(self, home: Path, ledger_url: str) -> None:
        broker_url = f"embedded:///{home}/broker.sqlite3"
        self._installation = Installation(home, broker_url, "http://127.0.0.1:9", ledger_url)
        self._processes, self._home = Processes(home), home
        self._next = time.time_ns() // 1000  # user; of an earlier run on this ledger nobody has that number
        self._installation.make()
        with broker.connect(broker_url) as connection:
            topology.declare(connection, [*PROVIDERS, *self._installation.names])
        self._write_users()

    @contextmanager
    def console(self) -> Iterator[tuple[str, Daemon]]:
        """A console until the end of the block, and its URL."""
        with self._running("console", REVOKER_LOG_LEVEL="INFO") as daemon:
            wait_until(lambda: "console.listening" in daemon.output, 30, "the console")
            yield re.findall(r"http://127\.0\.0\.1:\d+", daemon.output)[-1], daemon

    @contextmanager
    def recorder(self) -> Iterator[Daemon]:
        """A recorder until the end of the block."""
        with self._running("recorder") as daemon:
            yield daemon

    def fill(self, count: int) -> None:
        """Have *count* settled calls wait to be recorded."""
        messages = self._installation.outcomes(count, self._next)
        self._next += count
        with Publisher(lambda: broker.connect(self._installation.broker_url)) as publisher:
            for start in range(0, count, _BATCH):
                publisher.publish_all(messages[start : start + _BATCH])

    def close(self) -> None:
        """End what runs."""
        self._processes.close()

    @contextmanager
    def _running(self, name: str, **more: str) -> Iterator[Daemon]:
        daemon = self._processes.start("revoker", name, env=self._env | more, name=name)
        try:
            yield daemon
        finally:
            daemon.kill9()

    @property
    def _env(self) -> dict[str, str]:
        [some] = self._installation.provider_settings.values()
        providers = dict.fromkeys((*PROVIDERS, *self._installation.names), some)
        return self._installation.env | {
            "REVOKER_SUBJECT_KEY": SUBJECT_KEY,
            "REVOKER_PROVIDERS": json.dumps(providers),
            "REVOKER_MAX_AGE": json.dumps({"session_ended": YEAR, "user_disabled": YEAR}),
            "REVOKER_STORAGE": json.dumps(dict.fromkeys(_KEPT, 3650)),  # days: it forgets nothing
            "REVOKER_CONSOLE": json.dumps({"port": 0, "users_file": str(self._home / "users.json")}),
        }

    def _write_users(self) -> None:
        user = {"role": "operator", "password": hashed(PASSWORD), "since": datetime.now(UTC).isoformat()}
        file = self._home / "users.json"
        file.touch(0o600)
        file.write_text(json.dumps({"users": dict.fromkeys(OPERATORS, user)}))


def forget_recorded(ledger: Ledger) -> None:
    """Remove from *ledger* what recorders were given, so that it can be used again."""
    with ledger.database.writing() as connection:
        for table in (calls, events, subjects):
            id_ = table.c.event_id
            connection.execute(delete(table).where(id_ >= _OURS, id_ < f"{_OURS}~"))
