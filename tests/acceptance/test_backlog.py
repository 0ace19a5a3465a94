"""A backlog of routine events holds up nobody whose user was disabled; at full size in the fault bench."""

from backlog import urgent_behind
from system import System


def test_an_urgent_event_overtakes_a_backlog_of_routine_ones(system: System) -> None:
    """Published last, settled in the ledger while most of the others still wait; no process grows."""
    figures = urgent_behind(system, routine=10_000, urgent=3)
    print(f"\n{system.broker_url.split(':')[0]}: {figures}")
    assert figures.overtaken > 0
    assert figures.growth_mb < 20
