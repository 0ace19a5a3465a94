"""The retry curve."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recording_runtime import LatestRetry

from tasks.retry import RetryPolicy

LATEST = LatestRetry()
HOUR = 3600.0


def test_the_ceiling_doubles_from_one_second_to_five_minutes() -> None:
    """1, 2, 4 … 256, then 300 for ever."""
    delays = [LATEST.next_delay(attempt, 100 * HOUR) for attempt in range(1, 13)]
    assert delays == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]


@given(st.integers(1, 19), st.floats(0, 1), st.none() | st.floats(0, 1e9))
def test_every_delay_is_whole_seconds_within_its_bounds(attempt: int, chance: float, asked: float | None) -> None:
    """At least 1, never before Retry-After, never beyond its cap and a tenth."""
    delay = RetryPolicy().next_delay(attempt, 100 * HOUR, asked, lambda: chance)
    assert isinstance(delay, int)
    assert max(1, min(asked or 0, 900)) <= delay <= max(300, min(asked or 0, 900) * 1.1 + 1)


def test_it_gives_up_when_the_attempts_are_spent() -> None:
    """The twentieth failure is the last."""
    assert LATEST.next_delay(19, 100 * HOUR) is not None
    assert LATEST.next_delay(20, 100 * HOUR) is None


@pytest.mark.parametrize("remaining", [-5.0, 0.0, 15.9])
def test_it_gives_up_when_the_wait_would_outlive_the_budget(remaining: float) -> None:
    """A retry after the deadline helps nobody."""
    assert LATEST.next_delay(5, remaining) is None
    assert LATEST.next_delay(5, 16.0) == 16
