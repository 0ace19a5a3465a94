"""The figures of a run say what they are of: how fast a call is, and apart from it what samples provoke."""

from dataclasses import fields
from typing import Any

import pytest

from tasks.outcome import State
from worker.demo.progress import Summary, summarise
from worker.demo.samples import load_samples
from worker.demo.view import _figures
from worker.ledger import CallRow

NOTHING: dict[str, Any] = dict.fromkeys(each.name for each in fields(CallRow))


def row(seconds: float | None, attempt: int = 1, state: State = State.ACCEPTED) -> CallRow:
    """A line of the ledger."""
    return CallRow(**NOTHING | {"kind": "call", "state": state, "attempt": attempt, "exposure_seconds": seconds})


def figures(*rows: CallRow) -> Summary:
    """Those of a run with these lines."""
    return summarise(["e1"], ["e1"], rows)


@pytest.mark.parametrize("slow", [0.6, 15.0, 3600.0])
def test_a_call_that_failed_at_first_does_not_slow_the_percentiles(slow: float) -> None:
    """Its sample asks for the wait; it is counted and told apart."""
    told = figures(*(row(n / 100) for n in range(1, 51)), row(slow, attempt=4), row(0.1, attempt=2))
    assert told.exposure_seconds == {"p50": 0.25, "p95": 0.48, "p99": 0.5}
    assert (told.healed_by_retry, told.healed_seconds) == (2, slow)
    assert ("  left out: retried", f"2, the slowest after {slow} s") in _figures(told)


def test_nothing_is_left_out_without_saying_so() -> None:
    """Where every call went at its first attempt there is no such line."""
    told = figures(row(0.2))
    assert (told.healed_by_retry, told.healed_seconds) == (0, None)
    assert not [name for name, _ in _figures(told) if "left out" in name]


def test_a_token_that_expired_by_itself_was_not_revoked() -> None:
    """It is no time to revoke."""
    assert figures(row(7200.0, state=State.EXPIRED)).exposure_seconds == {"p50": None, "p95": None, "p99": None}


def test_no_sample_waits_for_longer_than_a_first_look_may_take() -> None:
    """A refused credential is looked into for seconds at each refusal: one refusal shows it."""
    refusals = [fault["times"] for each in load_samples() for fault in each.faults if fault.get("status") == 403]
    assert refusals
    assert set(refusals) == {1}
