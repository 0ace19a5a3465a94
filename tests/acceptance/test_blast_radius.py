"""A feed that disables a thousand people at once reaches fifty; the others wait for a person, over every restart."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from servers import Processes, wait_until
from system import SOURCE, System, digest

from worker.intake.flood import store
from worker.intake.flood.window import flood_id

LIMIT = 50
TYPE = "user.disabled"
NUMBERS = {digest(f"sbx-reference-{number}"): number for number in range(1, 3002)}
FLOOD = flood_id((SOURCE, TYPE))
ANOTHER = "urn:test:another-directory"
DIRECTORIES = {"one": {"source": SOURCE, "trusted": True}, "another": {"source": ANOTHER, "trusted": True}}


@pytest.fixture
def guarded(broker_url: str, tmp_path: Path, processes: Processes) -> Iterator[System]:
    """A system on each broker, its guard as by default."""
    made = System(tmp_path / "system", broker_url, processes, flood={}, sources=DIRECTORIES)
    yield made
    made.close()


def disabled(system: System, number: int, source: str = SOURCE) -> dict[str, Any]:
    """User *number* was disabled, says *source*; one session of theirs is known, at a provider without a rate limit."""
    user = {"format": "opaque", "id": f"user-{number}"}
    session = system.session("wibmo", f"sbx-reference-{number}")
    return system.disabled(event_id=f"e-{number}", sub_id=user, sessions=[session]) | {"source": source}


def hit(system: System) -> list[int]:
    """The numbers of the users whose tokens the provider was asked to kill."""
    return [NUMBERS[entry["key"]] for entry in system.journal() if entry["key"] in NUMBERS]


def held(system: System) -> int:
    """How many events wait for an operator."""
    return sum(flood.held for flood in store.standing(system.ledger.database))


def test_a_flood_waits_for_an_operator(guarded: System) -> None:
    """Of 1 000 disables 50 pass, 950 wait over a restart; another source is let through; then some go, in order."""
    first, second, recorder, _ = guarded.start("intake", "intake", "recorder", "worker")
    guarded.publish(disabled(guarded, number) for number in range(1, 1001))
    wait_until(lambda: held(guarded) == 1000 - LIMIT, 30, "the rest to be held back")
    assert first.output.count('"guard.opened"') + second.output.count('"guard.opened"') == 1
    for process in (first, second, recorder):
        process.stop()
    guarded.start("intake", "recorder")
    guarded.publish([disabled(guarded, 2001), disabled(guarded, 3001, ANOTHER)])
    wait_until(lambda: 3001 in hit(guarded), 20, "the urgent event of another source")
    wait_until(lambda: held(guarded) == 1001 - LIMIT, 10, "the flood to be held still")
    assert len(set(hit(guarded))) == LIMIT + 1
    guarded.revoker("flood", "release", FLOOD, "--limit", "100", "--rate", "500/s", "--reason", "real", "--yes")
    wait_until(lambda: len(hit(guarded)) == LIMIT + 1 + 100, 20, "what was released")
    guarded.revoker("flood", "discard", "--all", "--reason", "a feed's mistake", "--yes")
    everybody = {f"e-{number}" for number in (*range(1, 1001), 2001)}
    wait_until(lambda: everybody <= guarded.ledger.settled_or_dead(SOURCE, everybody), 20, "nothing to be lost")
    assert held(guarded) == 0
    assert "discarded (guard.flood)" in guarded.revoker("explain", "e-2001", code=1).stdout
