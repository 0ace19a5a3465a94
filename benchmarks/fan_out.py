"""What one black provider costs the others of the same people: their latency without it and with it, in turns.

A person is disabled at twenty providers, which are tables of kind `http`, by two events, since one names sixteen
accounts at most; intake and worker run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, Final

from servers import wait_until

from benchmarks.contestants import running
from benchmarks.installation import Installation, event_of, user_id
from benchmarks.latency import paced
from benchmarks.ours import OurRow, Setup
from benchmarks.plan import Plan
from benchmarks.results import Result, median, percentile
from benchmarks.say import say
from benchmarks.stage import Stage
from worker.broker.publication import Message
from worker.broker.publisher import Publisher

SECTION: Final = "isolation"
PROVIDERS: Final = 20
BLACK: Final = PROVIDERS - 1  # the number of the one that never answers, when its turn comes
EVENTS: Final = 2  # for each person
PEOPLE: Final = 10.0  # a second
WARM_UP: Final = 20  # people
RATIO: Final = f"p99 of {BLACK} providers beside a black one, of that alone"
_DONE: Final = {"status": 204, "means": "accepted"}


class _Tables(Installation):
    """Its providers are tables."""

    def _provider(self, name: str) -> dict[str, Any]:
        usual = {"user_id": "uuid", "default": "dead", "outcomes": [_DONE], "examples": [_DONE]}
        return {
            "kind": "http",
            "base_url": f"{self.base_url}/{name}/api/v2",
            "auth": {"scheme": "header", "name": "X-Key", "api_key": "secret-of-nothing"},
            "rate_limit": 0,
            "user": {"request": "DELETE /tokens/{user_id}", **usual},
        }


class _Row(OurRow):
    @cached_property
    def installation(self) -> Installation:
        """Its settings and its messages."""
        made = super().installation
        return _Tables(**{name: getattr(made, name) for name in Installation.__dataclass_fields__})


def measure(stage: Stage, plan: Plan) -> Iterator[Result]:
    """The event-to-request latency at the others of twenty providers; the median of all pairs."""
    rounds = [_round(stage, int(PEOPLE * plan.isolation_seconds)) for _ in range(plan.isolation_rounds)]
    alone, beside = ([percentile(pair[at], 0.99) for pair in rounds] for at in (0, 1))
    ratio = median([percentile(pair[1], 0.99) / percentile(pair[0], 0.99) for pair in rounds])
    for name, each in (("all well", alone), ("one black", beside)):
        say(f"{PROVIDERS} providers for each person, {name}: p99 of the others {median(each):.2f} ms")
        row = f"{BLACK} of {PROVIDERS} providers, {name}"
        yield Result(row, "rabbitmq", p99_ms=median(each), lost=0, rounds=len(rounds), section=SECTION)
    yield Result(f"{RATIO}: {ratio:.2f}", "rabbitmq", rounds=len(rounds), section=SECTION, x=ratio)


def _round(stage: Stage, count: int) -> tuple[list[float], list[float]]:
    """Latencies in milliseconds, of *count* people while all answer, and of as many while one does not."""
    row = _Row(Setup(work="events", providers=PROVIDERS), stage)
    row.prepare()
    stage.provider.reset(0.05)
    events = [_disabled(n, part) for n in range(WARM_UP + 2 * count) for part in range(EVENTS)]
    with running(row.start()), row.publisher() as publisher:
        publisher.publish_all(events[: WARM_UP * EVENTS])
        _wait_asked(stage, WARM_UP * PROVIDERS)
        alone = _times(stage, publisher, events, range(WARM_UP, WARM_UP + count), PROVIDERS)
        stage.provider.hang(f"p{BLACK}")
        beside = _times(stage, publisher, events, range(WARM_UP + count, WARM_UP + 2 * count), BLACK)
    row.close()
    return alone, beside


def _times(stage: Stage, publisher: Publisher, events: Sequence[Message], part: range, answering: int) -> list[float]:
    before = stage.provider.figures().ids
    sent = paced(publisher, events[part.start * EVENTS : part.stop * EVENTS], PEOPLE * EVENTS)
    _wait_asked(stage, before + len(part) * answering)
    arrivals = stage.provider.arrivals()
    told = ((_user(n, at), sent[(n - part.start) * EVENTS + at % EVENTS]) for n in part for at in range(BLACK))
    return [(arrivals[user] - published) * 1000 for user, published in told]


def _wait_asked(stage: Stage, ids: int) -> None:
    wait_until(lambda: stage.provider.figures().ids >= ids, 60, f"{ids} calls")


def _user(person: int, provider: int) -> str:
    return user_id(person * PROVIDERS + provider)


def _disabled(person: int, part: int) -> Message:
    accounts = {f"p{at}": {"user_id": _user(person, at)} for at in range(part, PROVIDERS, EVENTS)}
    subject = {"format": "email", "email": f"user-{person}@example.com"}
    return event_of("user.disabled", person * EVENTS + part, {"sub_id": subject, "accounts": accounts})
