"""A provider that cannot be called is left alone: its calls wait in the broker, unattempted, and go when it can be."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from servers import Daemon, Processes, wait_until
from system import SOURCE, System, digest


USERS = [str(uuid.UUID(int=n)) for n in range(1, 41)]
REFUSED = {"fault": "status", "status": 403, "operation": "genesys.delete_token"}


def token() -> str:
    """A token the sandbox has never seen, live until it is revoked."""
    return f"sbx-{uuid.uuid4()}"


def disable(system: System, *users: str) -> list[str]:
    """Disable users whom genesys knows."""
    return system.publish([system.disabled(accounts={"genesys": {"user_id": user}}) for user in users])


def asked(system: System, operation: str = "genesys.delete_token") -> list[dict[str, Any]]:
    """The requests that reached the provider."""
    return [entry for entry in system.journal() if entry["operation"] == operation]


def held(system: System) -> list[str]:
    """What is held, as the ledger knows it: provider, scope, reason."""
    return [f"{hold.provider} {hold.scope} {hold.reason}" for hold in system.ledger.standing_holds()]


def alerts(*workers: Daemon) -> int:
    """How often the workers said that a provider is held."""
    return sum(worker.output.count('"provider.held"') for worker in workers)


def no_attempt_was_burned(system: System, ids: list[str], provider: str = "genesys") -> None:
    """Every call was settled by its first attempt."""
    rows = [row for event_id in ids for row in system.ledger.calls_of_event(event_id, SOURCE)]
    mine = [row for row in rows if row.provider == provider and row.operation]
    assert {(str(row.state), row.attempt) for row in mine} == {("accepted", 1)}


def test_a_refused_credential_is_asked_about_a_handful_of_times(system: System) -> None:
    """Forty urgent calls, our credential refused: a few requests, one alert, then all are done without a restart."""
    system.script(REFUSED)
    _, worker, _ = system.start()
    ids = disable(system, *USERS)
    wait_until(lambda: held(system) == ["genesys worker auth.forbidden"], 30, "the hold")
    first = len(asked(system))
    assert first <= 6
    wait_until(lambda: system.ledger.standing_holds()[0].strikes > 1, 30, "a probe that failed")
    system.heal()
    system.wait_closed(ids, 60)
    assert len(asked(system)) - len(USERS) <= first + 3
    no_attempt_was_burned(system, ids)
    assert alerts(worker) == 1
    wait_until(lambda: not held(system), 10, "the hold to be over")
