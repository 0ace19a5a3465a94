"""The console on a large ledger: how long its pages take, and what its open tabs take from the recorder."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from servers import Daemon

from benchmarks.counting import Figures
from benchmarks.draining import Drained, drained, watch
from benchmarks.resources import cpu_seconds
from benchmarks.say import say
from benchmarks.scale.pages import pages, with_news
from benchmarks.scale.site import Site, forget_recorded
from benchmarks.scale.tabs import Browser, signed_in, tabs, visited
from benchmarks.scale.world import World
from worker.ledger import Ledger

TIMES: Final = 30  # each page is opened
ROUNDS: Final = 3  # with tabs, and without
RECORDS: Final = 20_000  # a round
_SOME, _OFTEN = 20, 0.2  # records, and seconds: 100 a second, so that there is always news


@dataclass(frozen=True, slots=True)
class Console:
    """What was measured at one console."""

    seconds: Mapping[str, Sequence[float]]  # of each page
    renewed: Sequence[float]  # of the tabs, likewise
    cpu: float  # of a core, by the console meanwhile
    alone: Sequence[Drained]  # the recorder without tabs
    beside: Sequence[Drained]  # and with them

    @property
    def share(self) -> float:
        """What of its rate is left to the recorder, by the median of the rounds, each beside the one before."""
        return median(
            ours.calls_per_second / alone.calls_per_second for alone, ours in zip(self.alone, self.beside, strict=True)
        )


async def measured(home: Path, world: World, ledger: Ledger, url: str) -> Console:
    """Measure it on *ledger*, which is at *url*."""
    site = Site(home, url)
    try:
        with site.console() as (address, daemon):
            async with signed_in(address) as browsers:
                return await _at(site, browsers, daemon, pages(world, ledger), ledger)
    finally:
        site.close()
        forget_recorded(ledger)


async def _at(
    site: Site, browsers: Sequence[Browser], console: Daemon, paths: dict[str, str], ledger: Ledger
) -> Console:
    await visited(browsers[0], paths, 1)
    async with _news(site), tabs(browsers, with_news(paths)) as renewed:
        began, cpu = time.monotonic(), cpu_seconds([console.pid])
        seconds = await visited(browsers[0], paths, TIMES)
        used = (cpu_seconds([console.pid]) - cpu) / (time.monotonic() - began)
    alone, beside = list[Drained](), list[Drained]()
    for number in range(2 * ROUNDS):
        await asyncio.to_thread(site.fill, RECORDS)
        with_tabs = number % 2 == 1
        async with tabs(browsers, with_news(paths)) if with_tabs else nullcontext():
            (beside if with_tabs else alone).append(await asyncio.to_thread(_recorded, site, ledger))
    return Console(seconds, renewed, used, alone, beside)


@asynccontextmanager
async def _news(site: Site) -> AsyncIterator[None]:
    """A recorder that has something to record several times a second."""

    async def go_on() -> None:
        while True:
            await asyncio.to_thread(site.fill, _SOME)
            await asyncio.sleep(_OFTEN)

    with site.recorder():
        task = asyncio.create_task(go_on())
        try:
            yield
            if task.done():
                task.result()  # it ends with an error only
        finally:
            task.cancel()


def _recorded(site: Site, ledger: Ledger) -> Drained:
    """How fast a recorder writes what waits for it."""
    before = ledger.newest_change()

    def figures() -> Figures:
        so_far = ledger.newest_change() - before
        return Figures(now=time.monotonic(), requests=so_far, ids=so_far, cpu=0.0, hanging=0)

    with site.recorder() as daemon:
        looks, memory = watch(figures, [daemon], RECORDS)
    done = drained(looks, memory[-1], figures(), RECORDS)
    say(f"{done.calls_per_second:.0f} records/s, {done.cpu_us_per_call:.0f} µs of CPU each")
    return done
