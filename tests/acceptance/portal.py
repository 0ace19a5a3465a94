"""An application with a table of sessions, as the session-timeout job finds one, and the job's settings for it."""

import json
import re
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

from servers import free_port
from sqlalchemy import Engine, create_engine, text
from system import System

from worker.intake.signing import generate_signing_key, save_signing_key
from worker.sandbox import SandboxConfig

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
SCHEMA = EXAMPLES / "session_timeout_job/schema.sql"
SOURCE = "urn:example:session-timeout-job"
SIGNING_KEY = "sessions.jwk"
IDLE = 7_200  # seconds, where the organization allows 1800
HOUR = 3_600  # seconds


def signing_source(folder: Path) -> dict[str, Any]:
    """Make the job's signing key in *folder*; return its source for the worker's settings."""
    key = generate_signing_key("sessions")
    save_signing_key(folder / SIGNING_KEY, key)
    (folder / "sessions.jwks.json").write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
    return {"source": SOURCE, "keys": str(folder / "sessions.jwks.json"), "providers": ["genesys"]}


class Portal:
    """The application's database at *url*, empty, and the file `job.json` in *folder*, beside the job's keys."""

    def __init__(self, folder: Path, url: str, system: System) -> None:
        self.file = folder / "job.json"
        self.url, self._system = url.replace("+psycopg", ""), system
        self._engine: Engine = create_engine(url)
        with self._engine.begin() as connection:
            for statement in re.sub(r"--.*", "", SCHEMA.read_text()).split(";"):
                if statement.strip():
                    connection.execute(text(statement))
        (folder / "jwks.json").write_text(system.revoker("keys", "export").stdout)
        self.configure()

    def configure(self, **changed: Any) -> None:
        """Write the job's settings: those that serve, but for *changed*."""
        sandbox = SandboxConfig()
        served = {
            "store_url": self.url,
            "broker_url": self._system.broker_url,
            "source": SOURCE,
            "jwks_file": "jwks.json",
            "signing_key_file": SIGNING_KEY,
            "genesys_api_url": f"{self._system.base_url}/genesys",
            "genesys_login_url": f"{self._system.base_url}/genesys",
            "genesys_client_id": sandbox.client_id,
            "genesys_client_secret": sandbox.client_secret.get_secret_value(),
        }
        self.file.touch(mode=0o600)
        self.file.write_text(json.dumps(served | changed))

    def lose_broker(self) -> None:
        """Have the job look for the broker where there is none."""
        self.configure(broker_url=f"amqp://guest:guest@127.0.0.1:{free_port()}/")

    def log_in(self, idle: int = IDLE) -> str:
        """Make a session that was last used *idle* seconds ago; return its token."""
        token, now = f"sbx-{uuid4()}", int(time.time())
        row = {"id": str(uuid4()), "email": f"{uuid4().hex}@example.com", "token": token}
        with self._engine.begin() as connection:
            connection.execute(
                text("INSERT INTO sessions VALUES (:id, :email, 'genesys', :token, :expires, :used, NULL)"),
                row | {"expires": now + HOUR, "used": now - idle},
            )
        return token

    def open_tokens(self) -> set[str]:
        """The tokens of the sessions that are not ended."""
        return {row[0] for row in self._asked("SELECT token FROM sessions WHERE ended_at IS NULL")}

    def outbox(self) -> list[str]:
        """The bodies of the events that wait in the outbox."""
        return [row[0] for row in self._asked("SELECT body FROM outbox")]

    def close(self) -> None:
        """Let the database go."""
        self._engine.dispose()

    def _asked(self, question: str) -> list[Any]:
        with self._engine.connect() as connection:
            return list(connection.execute(text(question)))
