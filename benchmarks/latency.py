"""How long a message takes from its publish to the request that the provider sees."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from benchmarks.contestants import Contestant, running
from benchmarks.counting import Figures
from benchmarks.draining import INTERVAL, STUCK, settle
from benchmarks.figures import short
from benchmarks.installation import user_id
from benchmarks.results import Result, percentile
from benchmarks.say import say
from benchmarks.stage import Stage
from worker.broker.publication import Message
from worker.broker.publisher import Publisher

SECTION: Final = "latency at half load"
WARM_UP: Final = 50  # messages nobody times: connections open, code is loaded
PING_RATE: Final = 50.0  # messages a second that load nothing


@dataclass(frozen=True, slots=True)
class Latency:
    """In milliseconds."""

    p50: float | None  # None: nothing came
    p99: float | None
    lost: int
    duplicates: int


def measure(row: Contestant, stage: Stage, pings: int, capacity: float, seconds: float) -> tuple[Latency, Result]:
    """The unloaded latency of *row*, and its result at half of *capacity* (calls/s) for *seconds*."""
    rate = capacity / 2
    loaded_count = max(pings, int(rate * seconds))
    messages = row.messages(WARM_UP + pings + loaded_count)
    stage.provider.reset(0.05)
    with running(row.start()), row.publisher() as publisher:
        publisher.publish_all(messages[:WARM_UP])
        _wait_seen(stage, WARM_UP)
        unloaded = _timed(stage, publisher, messages, range(WARM_UP, WARM_UP + pings), PING_RATE)
        loaded = _timed(stage, publisher, messages, range(WARM_UP + pings, len(messages)), rate)
        settle(row)
    row.tidy()
    say(f"{row.name} ({row.broker}): p99 {short(unloaded.p99)} ms unloaded, {short(loaded.p99)} ms at {rate:.0f}/s")
    return unloaded, _result(row, loaded, rate)


def with_latency(result: Result, latency: Latency) -> Result:
    """*result* with the unloaded latency of its row."""
    return replace(result, p50_ms=latency.p50, p99_ms=latency.p99)


def _result(row: Contestant, loaded: Latency, rate: float) -> Result:
    return Result(
        row=f"half load: {row.name}",
        broker=row.broker,
        calls_per_second=rate,
        p50_ms=loaded.p50,
        p99_ms=loaded.p99,
        lost=loaded.lost,
        duplicates=loaded.duplicates,
        section=SECTION,
    )


def _timed(stage: Stage, publisher: Publisher, messages: Sequence[Message], part: range, rate: float) -> Latency:
    """The latency of those of *messages* whose positions are in *part*; all before them were published already."""
    sent = paced(publisher, messages[part.start : part.stop], rate)
    seen = _wait_seen(stage, part.stop)
    arrivals = stage.provider.arrivals()
    ids = (user_id(n + 1) for n in part)
    taken = [(arrivals[each] - at) * 1000 for each, at in zip(ids, sent, strict=True) if each in arrivals]
    p50, p99 = (percentile(taken, share) if taken else None for share in (0.5, 0.99))
    return Latency(p50, p99, part.stop - seen.ids, seen.requests - seen.ids)


def paced(publisher: Publisher, messages: Sequence[Message], rate: float) -> list[float]:
    """Publish *messages* at *rate* a second, those that are due together; when each was handed over."""
    start, sent = time.monotonic(), list[float]()
    while len(sent) < len(messages):
        now = time.monotonic()
        due = min(len(messages), int((now - start) * rate) + 1)
        if due <= len(sent):
            time.sleep(max(0.0, start + len(sent) / rate - now))
            continue
        batch = messages[len(sent) : due]
        sent += [now] * len(batch)
        publisher.publish_all(batch)
    return sent


def _wait_seen(stage: Stage, count: int) -> Figures:
    """Wait until the provider saw *count* ids, as long as new ones come: late is not lost."""
    figures, moved = stage.provider.figures(), time.monotonic()
    while figures.ids < count and time.monotonic() - moved < STUCK:
        time.sleep(INTERVAL)
        before, figures = figures, stage.provider.figures()
        if figures.ids > before.ids:
            moved = time.monotonic()
    return figures
