"""`python -m session_timeout_job job.json`: one pass, for a timer to repeat. Ends with 0 where all of it was done."""

import sys
from collections.abc import Callable
from pathlib import Path

from sqlalchemy.exc import ArgumentError

from session_timeout_job.events import Writer
from session_timeout_job.genesys import GenesysError, idle_timeout
from session_timeout_job.relay import publish_waiting
from session_timeout_job.settings import Settings, SettingsError
from session_timeout_job.store import Store


def main(file: str) -> int:
    """End idle sessions, then publish. What one half cannot do keeps the other from nothing."""
    try:
        settings = Settings.read(Path(file))
        store = Store(settings.store_url)
    except (SettingsError, ArgumentError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    halves = (
        _is_done("ended", lambda: end_idle(store, settings)),
        _is_done("published", lambda: publish_waiting(store, settings.broker_url)),
    )
    store.close()
    return 0 if all(halves) else 1


def end_idle(store: Store, settings: Settings) -> int:
    """End the sessions that are idle for as long as the organization allows; return how many."""
    seconds = idle_timeout(settings)
    return 0 if seconds is None else store.end_idle(seconds, Writer.read(settings).ended)


def _is_done(what: str, half: Callable[[], int]) -> bool:
    """Say what *half* came to, in one line without a secret."""
    try:
        print(f"{what}: {half()}")
    except GenesysError as error:
        print(f"{what}: none, Genesys Cloud: {error}", file=sys.stderr)
    except Exception as error:  # noqa: BLE001 - whatever it is, the next pass goes on from what is committed
        print(f"{what}: not all, {type(error).__name__}; the next pass does the rest", file=sys.stderr)
    else:
        return True
    return False


if __name__ == "__main__":
    if len(sys.argv) != len(["job", "file"]):
        sys.exit("usage: python -m session_timeout_job job.json")
    sys.exit(main(sys.argv[1]))
