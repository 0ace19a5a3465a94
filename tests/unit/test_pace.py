"""The pace of doubted calls: a few at a time, and slowly in the end."""

from contextlib import ExitStack

from worker.calls.holds.provider_state import FAST_CALLS, MAX_DOUBTED, SLOW_INTERVAL, DoubtedPace


def test_a_few_go_at_a_time() -> None:
    """The rest comes again in a second, and each later than the one before it."""
    pace = DoubtedPace(lambda: 0.0)
    with ExitStack() as calls:
        for _ in range(MAX_DOUBTED):
            assert pace.wait() == 0
            calls.enter_context(pace.calling())
        waits = [pace.wait() for _ in range(50)]
        assert (waits[0], waits == sorted(waits)) == (1, True)
        assert waits[-1] <= 10
    assert pace.wait() == 0


def test_after_many_of_them_one_a_second_goes() -> None:
    """A key that is bad is asked about for as long as there are new calls, but is not hammered."""
    now = [0.0]
    pace = DoubtedPace(lambda: now[0])
    for _ in range(FAST_CALLS):
        assert pace.wait() == 0
        with pace.calling():
            pass
    assert [pace.wait() for _ in range(3)] == [1, 2, 3]
    now[0] += SLOW_INTERVAL
    assert pace.wait() == 0
