"""How routine calls begin: a few in each turn of the loop, so that an urgent one finds short turns."""

import asyncio

from worker.engine.pool import ROUTINE_STARTS, Turnstile


async def turns(count: int) -> None:
    """Let the loop go round so often."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_few_pass_in_each_turn_in_the_order_in_which_they_came() -> None:
    """However many there are, a turn is short."""
    turnstile, passed = Turnstile(asyncio.get_running_loop()), list[int]()

    async def enter(number: int) -> None:
        await turnstile.passing()
        passed.append(number)

    entering = [asyncio.create_task(enter(number)) for number in range(5 * ROUTINE_STARTS)]
    seen = []
    while len(passed) < len(entering):
        await turns(1)
        seen.append(len(passed))
    assert passed == [*range(5 * ROUTINE_STARTS)]
    assert max(later - earlier for earlier, later in zip([0, *seen], seen, strict=False)) == ROUTINE_STARTS


async def test_who_is_alone_waits_for_no_others_turn() -> None:
    """Two turns of a loop that has nothing else to do."""
    turnstile = Turnstile(asyncio.get_running_loop())
    alone = asyncio.create_task(turnstile.passing())
    await turns(3)
    assert alone.done()


async def test_who_is_cancelled_takes_no_place_and_stops_nobody() -> None:
    """A stop gives calls back that have not begun."""
    turnstile = Turnstile(asyncio.get_running_loop())
    entering = [asyncio.create_task(turnstile.passing()) for _ in range(3 * ROUTINE_STARTS)]
    await turns(1)
    for each in entering[: 2 * ROUTINE_STARTS]:
        each.cancel()
    await asyncio.wait(entering, timeout=5)
    assert [each.cancelled() for each in entering] == [True] * (2 * ROUTINE_STARTS) + [False] * ROUTINE_STARTS
