"""The files that an installation keeps its state in, and whether this user may write them."""

import os
from pathlib import Path

from sqlalchemy import make_url

from worker import broker
from worker.settings import Settings


def broker_file(settings: Settings) -> Path | None:
    """The file of the embedded broker; None for RabbitMQ."""
    url = settings.broker_url.get_secret_value()
    return Path(url.partition(":///")[2]) if broker.is_embedded(url) else None


def ledger_file(settings: Settings) -> Path | None:
    """The file of the ledger; None for PostgreSQL."""
    url = make_url(settings.ledger_url.get_secret_value())
    return Path(str(url.database)) if url.get_backend_name() == "sqlite" else None


def unwritable(file: Path) -> str | None:
    """Why this user cannot write *file*, which needs its folder as well, for the log beside it; None where it can."""
    for path in (file, file.absolute().parent):
        if not os.access(path, os.W_OK):
            return f"{path} cannot be written by this user"
    return None
