"""Answers of `revoker init` to begin with, what is written of them, and how it loads."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from starting import MARKER

from worker.operations.setup import plan_setup, write
from worker.settings import Settings

GENESYS = {"kind": "genesys", "region": "eu-west-1", "client_id": "4711", "client_secret": MARKER}
SESSIONS = {"source": "urn:example:sessions"}
ANSWERS: dict[str, Any] = {
    "broker_url": "amqps://rabbitmq.example.com/revocation",
    "ledger_url": "postgresql+psycopg://revoker@db.example.com/revoker",
    "providers": {"genesys": GENESYS},
    "sources": {"sessions": SESSIONS},
}
ONE_USER = {**ANSWERS, "broker_url": "amqps://it@rabbitmq.example.com/revocation", "broker_password": MARKER}
EMBEDDED = {**ANSWERS, "broker_url": "embedded:////var/lib/revoker/broker", "ledger_url": "sqlite:////var/lib/ledger"}


def set_up(folder: Path, answers: dict[str, Any]) -> list[Path]:
    """Write what *answers* make of *folder*, and return the files."""
    plan = plan_setup(folder, answers)
    write(plan.files)
    return [each.path for each in plan.files]


@contextmanager
def loaded(folder: Path, process: str = "") -> Iterator[Settings]:
    """The settings of a *process*, as it finds them below *folder*."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REVOKER_CONFIG_FILE", str(folder / "revoker.toml"))
        patch.setenv("REVOKER_SECRETS_DIR", str(folder / "secrets" / process))
        yield Settings.load()
