"""A bare aiohttp client without any broker: what the provider and the client alone can do."""

import asyncio
import os
import uuid

from calling import IN_FLIGHT, Caller, run

CALLS = int(os.environ["BENCH_CALLS"])
caller = Caller()


async def calls(numbers: "asyncio.Queue[int]") -> None:
    """Make the calls of *numbers*, one after the other."""
    while not numbers.empty():
        await caller.call({"provider": "p0", "user_id": str(uuid.UUID(int=numbers.get_nowait()))})


async def main() -> None:
    """Make all calls."""
    numbers: asyncio.Queue[int] = asyncio.Queue()
    for number in range(1, CALLS + 1):
        numbers.put_nowait(number)
    async with asyncio.TaskGroup() as group:
        for _ in range(IN_FLIGHT):
            group.create_task(calls(numbers))
    await asyncio.Event().wait()


if __name__ == "__main__":
    run(main, uvloop=os.environ["BENCH_STYLE"] == "uvloop")
