"""The run itself: prepare, start, publish, watch, sum up, and stop cleanly."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from worker import broker, process
from worker.broker import messages
from worker.broker.publisher import Publisher
from worker.demo import hints
from worker.demo.progress import Feed, Progress
from worker.demo.reaching import Reach
from worker.demo.samples import SOURCE, Cast, load_samples
from worker.demo.state_dir import claimed, furnished, sealing_key
from worker.demo.summary import journal_keys, summarised, unproved
from worker.demo.supervisor import Crew, Program
from worker.demo.view import View
from worker.ledger import LedgerUnavailable
from worker.sandbox.client import SandboxDoor, free_port

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from pathlib import Path

    from worker.demo.progress import News
    from worker.ledger import Ledger
    from worker.settings import Settings

LOOK: Final = 0.05  # seconds between two looks at the ledger
TERMINAL_LOG_LEVEL: Final = "WARNING"  # of what the run itself logs, beside its view
SETTLE_SECONDS: Final = 60.0  # until the samples must be settled or dead


class Interrupted(Exception):  # noqa: N818 - the name says what is the case
    """Somebody asked a run that ends by itself to stop before that."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for: where to keep things, whether to end by itself, whether the figures are JSON."""

    folder: Path  # absolute
    once: bool
    as_json: bool


def show(wish: Wish) -> bool:
    """Run everything; whether nothing was lost and every sample kept its promise. A run that stays up always ends well.

    Raises StateError, SettingsError, SealError, Unreachable, ProcessFailed, SandboxError, PublishError, and
    Interrupted where a run that ends by itself was stopped.
    """
    door = SandboxDoor(free_port())
    with ExitStack() as opened:
        stop = opened.enter_context(process.stop_event())
        view = opened.enter_context(View())
        lock = opened.enter_context(claimed(wish.folder, view.say, stop))
        settings = process.start(lambda: furnished(wish.folder, door.base_url), TERMINAL_LOG_LEVEL)
        reach = Reach(settings, view.say, stop)
        reach.broker()
        ledger = reach.ledger()
        opened.callback(ledger.close)
        crew = opened.enter_context(Crew(_programs(door), wish.folder / "log", lock, view.say))
        view.say(f"starting sandbox, recorder, worker and intake; their logs: {wish.folder / 'log'}")
        crew.start(stop)
        return _Run(wish, settings, door, ledger, crew, view, stop).play()


@dataclass(slots=True)
class _Run:
    """A run whose processes are up."""

    wish: Wish
    settings: Settings
    door: SandboxDoor
    ledger: Ledger
    crew: Crew
    view: View
    stop: threading.Event
    feed: Feed = field(init=False)
    cast: Cast = field(init=False)
    progress: Progress = field(init=False)
    ledger_is_away: bool = False

    def __post_init__(self) -> None:
        self.feed = Feed(self.ledger)
        self.cast = Cast(sealing_key(self.settings))
        self.progress = Progress([self.cast.staged(sample) for sample in load_samples()])

    def play(self) -> bool:
        """Publish the samples, watch them to their end, sum up; then stay until stopped, unless once is enough."""
        if not self.stop.is_set():  # as it is by a Ctrl-C while the processes start
            self._publish()
        until = time.monotonic() + SETTLE_SECONDS
        self._watch(lambda: not self.progress.open or time.monotonic() > until)
        if self.wish.once:
            return self._sum_up_once()
        if not self.stop.is_set():
            self._sum_up()
            self.view.say(hints.next_steps(self.wish.folder))
        self._watch(lambda: False)
        return True

    def _sum_up_once(self) -> bool:
        if self.stop.is_set():
            raise Interrupted("stopped before the samples were settled; what was published waits in the broker")
        return self._sum_up()

    def _publish(self) -> None:
        self.door.seed(self.cast.live)
        self.door.script(self.cast.faults)
        staged = self.progress.staged
        self.view.begin({each.event_id: each.sample.title for each in staged})
        with Publisher(broker.connector(self.settings)) as publisher:
            publisher.publish_all([messages.event(body, each.event_type) for each in staged for body in each.bodies])

    def _watch(self, is_over: Callable[[], bool]) -> None:
        while not self.stop.is_set() and not is_over():
            self.crew.look_after()
            news = self._news()
            self.progress.learn(news)
            self.view.show(news, self.progress)
            self.stop.wait(0 if news else LOOK)

    def _news(self) -> list[News]:
        try:
            news = self.feed.news()
        except LedgerUnavailable as error:
            if not self.ledger_is_away:
                self.view.say(f"{error}; outcomes wait in the broker meanwhile")
            self.ledger_is_away = True
            return []
        self.ledger_is_away = False
        return news

    def _sum_up(self) -> bool:
        published = [each.event_id for each in self.progress.staged]
        summary = summarised(published, self.ledger.settled_or_dead(SOURCE, published), self.progress.rows)
        self.view.sum_up(summary, as_json=self.wish.as_json)
        keys = journal_keys(self.progress.staged, self.cast, self.settings.catalogue(), datetime.now(UTC))
        complaints = [*self.progress.broken_promises(), *unproved(self.progress.rows, keys, self.door.revoked())]
        for complaint in complaints:
            self.view.say(f"NOT AS IT SHOULD BE: {complaint}")
        return not complaints and not summary.lost


def _programs(door: SandboxDoor) -> list[Program]:
    """The sandbox first: it outlives those who work on it."""
    sandbox = ("sandbox", "--port", str(door.port), "--auto-issue")
    return [
        Program("sandbox", sandbox, lambda _: door.is_open()),
        Program("recorder", ("recorder",), lambda said: "consumer.ready" in said),
        Program("worker", ("worker",), lambda said: " ready." in said),
        Program("intake", ("intake",), lambda said: "consumer.ready" in said),
    ]
