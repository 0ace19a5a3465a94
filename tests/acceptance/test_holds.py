"""A provider that cannot be called is left alone: its calls wait in the broker, unattempted, and go when it can be."""

import uuid
from pathlib import Path
from typing import Any

from servers import Daemon, Processes, RabbitNode, wait_until
from system import SOURCE, System

from worker.calls.holds import store

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
    return [f"{hold.provider} {hold.scope} {hold.reason}" for hold in store.standing(system.ledger.database)]


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
    wait_until(lambda: store.standing(system.ledger.database)[0].failed_probes > 1, 30, "a probe that failed")
    system.heal()
    system.wait_closed(ids, 60)
    assert len(asked(system)) - len(USERS) <= first + 3
    no_attempt_was_burned(system, ids)
    assert alerts(worker) == 1
    wait_until(lambda: not held(system), 10, "the hold to be over")


def test_a_users_bad_token_never_counts_beside_our_own_refused_credential(system: System) -> None:
    """Their calls go on and are `already_revoked`; ours wait, and theirs open nothing."""
    system.script(REFUSED)
    system.start()
    ids = disable(system, *USERS[:8])
    secret = token()
    dead = system.publish([system.ended(system.session("genesys", secret)) for _ in range(20)])
    system.wait_closed(dead, 30)
    wait_until(lambda: held(system) == ["genesys worker auth.forbidden"], 30, "the hold")
    more = system.publish([system.ended(system.session("genesys", secret)) for _ in range(5)])
    system.wait_closed(more, 20)
    assert {system.states(each)["genesys"] for each in more} == {"already_revoked"}
    assert held(system) == ["genesys worker auth.forbidden"]
    system.heal()
    system.wait_closed(ids, 60)


def test_an_outage_holds_the_provider_alone_over_a_restart(system: System) -> None:
    """Its messages stay in their queue, one at a time probes; another provider's calls go, and a new worker knows."""
    system.script({"fault": "status", "status": 503, "provider": "genesys"})
    _, worker, _ = system.start()
    first = system.publish([system.ended(system.session("genesys", token())) for _ in range(10)])
    wait_until(lambda: held(system) == ["genesys all http.5xx"], 30, "the hold")
    worker.stop()
    seen = len(asked(system, "genesys.delete_tokens_me"))
    ids = system.publish([system.ended(system.session("genesys", token())) for _ in range(30)])
    others = system.publish([system.ended(system.session("finbourne", token())) for _ in range(10)])
    [worker] = system.start("worker")
    system.wait_closed(others, 20)
    wait_until(lambda: store.standing(system.ledger.database)[0].failed_probes >= 3, 30, "two probes that failed")
    assert len(asked(system, "genesys.delete_tokens_me")) - seen <= 4
    assert system.queued()["revocation.calls.genesys.routine"] >= 30
    system.heal()
    system.wait_closed([*first, *ids], 60)
    assert {row.state.value for each in ids for row in system.ledger.calls_of_event(each)} == {"confirmed"}
    assert alerts(worker) == 0


def test_two_workers_share_one_hold_and_one_alert(system: System) -> None:
    """Whoever finds out first; nobody asks the provider behind the other's back."""
    system.script(REFUSED)
    system.start("intake", "recorder")
    workers = system.start("worker", "worker")
    ids = disable(system, *USERS)
    wait_until(lambda: held(system) and store.standing(system.ledger.database)[0].failed_probes > 1, 30, "the hold")
    assert len(asked(system)) <= 14
    system.heal()
    system.wait_closed(ids, 60)
    no_attempt_was_burned(system, ids)
    assert alerts(*workers) == 1


def test_an_operator_holds_and_releases_a_provider(system: System) -> None:
    """Calls wait unasked, over a restart of the worker, until the release; the next hold ends by its expiry."""
    _, worker, _ = system.start()
    system.wait_closed(system.publish([system.ended(system.session("wibmo", token()))]))
    system.revoker("provider", "hold", "finbourne", "--reason", "vendor maintenance", "--for", "2h", "--yes")
    wait_until(lambda: _waits(system, "finbourne"), 30, "the worker to hold")
    worker.stop()
    seen = len(asked(system, "finbourne.invalidate_token"))
    system.start("worker")
    ids = system.publish([system.ended(system.session("finbourne", token())) for _ in range(5)])
    system.wait_closed(system.publish([system.ended(system.session("wibmo", token()))]))
    assert len(asked(system, "finbourne.invalidate_token")) == seen
    system.revoker("provider", "release", "finbourne", "--reason", "over", "--yes")
    system.wait_closed(ids, 30)
    no_attempt_was_burned(system, ids, "finbourne")
    system.revoker("provider", "hold", "finbourne", "--reason", "again", "--for", "2s", "--yes")
    system.wait_closed(system.publish([system.ended(system.session("finbourne", token()))]), 30)


def _waits(system: System, provider: str) -> bool:
    """Whether a call published now stays in its queue."""
    key = f"revocation.calls.{provider}.routine"
    if system.queued().get(key):
        return True
    system.publish([system.ended(system.session(provider, token()))])
    return False


def test_a_reconnect_consumes_nothing_that_is_held(
    private_rabbitmq: RabbitNode, tmp_path: Path, processes: Processes
) -> None:
    """The broker restarts: the worker goes on with the other providers, and leaves the held one alone."""
    system = System(tmp_path / "system", private_rabbitmq.url(), processes)
    system.revoker("provider", "hold", "finbourne", "--reason", "maintenance", "--yes")
    _, worker, _ = system.start()
    ids = system.publish([system.ended(system.session("finbourne", token()))])
    system.wait_closed(system.publish([system.ended(system.session("wibmo", token()))]))
    private_rabbitmq.stop()
    private_rabbitmq.start()
    system.wait_closed(system.publish([system.ended(system.session("wibmo", token()))]), 60)
    assert asked(system, "finbourne.invalidate_token") == []
    system.revoker("provider", "release", "finbourne", "--reason", "over", "--yes")
    system.wait_closed(ids, 30)
    assert worker.running
    system.close()
