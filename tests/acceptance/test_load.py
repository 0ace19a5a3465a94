"""A thousand events with every tenth call failing: the ids the providers saw are the ids that were published."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from servers import wait_until
from system import System, digest

EVENTS = 1000  # of which those in flight are half; `make chaos` and `make bench` have loads of full size
IN_FLIGHT = 2 * 250  # routine calls of two providers


@dataclass
class Load:
    """Events, the tokens they end, and what the sandbox is told to do to some of them."""

    events: list[dict[str, Any]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    forbidden: set[str] = field(default_factory=set)
    faults: list[dict[str, Any]] = field(default_factory=list)


def load(system: System, providers: tuple[str, ...]) -> Load:
    """Every tenth token meets one fault that heals; every hundredth is refused for good."""
    made = Load()
    kinds = _faults()
    for n in range(EVENTS):
        provider, token = providers[n % len(providers)], f"sbx-load-{n}"
        made.tokens.append(token)
        made.events.append(system.ended(system.session(provider, token), event_id=f"load-{n}"))
        if n % 100 == 99 and provider != "wibmo":  # a 403 there is about our key, not about this token
            made.forbidden.add(token)
            made.faults.append({"fault": "status", "status": 403, "match": token})
        elif n % 10 == 5:
            made.faults.append({**next(kinds), "match": token, "times": 1})
    return made


def _faults() -> Iterator[dict[str, Any]]:
    while True:
        yield {"fault": "status", "status": 503}
        yield {"fault": "status", "status": 429, "retry_after": "1"}
        yield {"fault": "reset"}
        yield {"fault": "status", "status": 500}


def check(system: System, made: Load) -> dict[str, int]:
    """The oracle: published ⊆ settled ∪ dead by the providers' own journal, dead only where scripted, nothing left."""
    revoked = system.revoked()
    expected = {digest(token) for token in made.tokens if token not in made.forbidden}
    letters = system.ledger.dead_letters()
    wait_until(lambda: not system.queued(), 30, "every queue to be empty")
    assert set(revoked) == expected
    assert {letter.reason for letter in letters} == {"auth.forbidden"}
    assert len(letters) == len(made.forbidden)
    answered = [
        entry["key"] for entry in system.journal() if entry["operation"] in OPERATIONS and entry["fault"] is None
    ]
    return {
        "lost": EVENTS - len(revoked) - len(letters),
        "calls": len(answered),
        "repeated": len(answered) - len(expected),
    }


OPERATIONS = {"genesys.delete_tokens_me", "finbourne.invalidate_token", "wibmo.invalidate_token"}


def test_a_thousand_events_with_faults_lose_nothing(system: System) -> None:
    """Every id is settled or dead, dead only where scripted, and nobody is called twice without need."""
    made = load(system, ("genesys", "finbourne", "wibmo", "genesys-eu"))
    system.script(*made.faults)
    system.start()
    started = time.monotonic()
    system.wait_closed(system.publish(made.events), 180)
    seconds = time.monotonic() - started
    figures = check(system, made)
    print(f"\n{system.broker_url.split(':')[0]}: {EVENTS} events in {seconds:.1f} s, {figures}")
    assert figures["lost"] == figures["repeated"] == 0


def test_killing_the_worker_in_the_middle_loses_nothing(system: System) -> None:
    """SIGKILL with calls in flight: what was not acknowledged is made again, at most once for each call it held."""
    made = load(system, ("genesys", "finbourne"))
    system.script(*made.faults)
    _, worker, _ = system.start()
    ids = system.publish(made.events)
    wait_until(lambda: len(system.revoked()) > EVENTS // 4, 60, "the worker to be busy")
    worker.kill9()
    killed = time.monotonic()
    system.start("worker")
    system.wait_closed(ids, 240)
    seconds = time.monotonic() - killed
    figures = check(system, made)
    print(f"\n{system.broker_url.split(':')[0]}: killed, closed {seconds:.1f} s later, {figures}")
    assert figures["lost"] == 0
    assert figures["repeated"] <= IN_FLIGHT


def test_three_processes_of_each_kind_share_the_work(system: System) -> None:
    """Nothing is lost between them, and nothing is done twice."""
    made = load(system, ("genesys", "finbourne", "genesys-eu"))
    system.script(*made.faults)
    system.start(*["intake", "worker", "recorder"] * 3)
    system.wait_closed(system.publish(made.events), 180)
    assert check(system, made) == {"lost": 0, "calls": EVENTS - len(made.forbidden), "repeated": 0}
