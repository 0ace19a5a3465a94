"""Changes as they are planned, confirmed, carried out and told: what runs is what was read.

A plan is kept by this process until it is run, or for PLAN_LIFETIME. It has a hash of all that its page shows; whoever
runs it sends the hash back.
"""

import hashlib
import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from worker.broker.publication import PublishError
from worker.console.sign_in.roles import SignedIn
from worker.ledger import LedgerRefused, LedgerUnavailable, Operator
from worker.operations import RefusedRequest
from worker.operations.replay import ReplayControls

logger = logging.getLogger(__name__)

PLAN_LIFETIME: Final = 900.0  # seconds: what was read longer ago is read again
MAX_PLANS: Final = 500  # kept at once; the oldest goes first
STOP_TIMEOUT: Final = 3.0  # seconds until a change that was asked to stop is left to its lease

Fact = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Done:
    """What a change came to: its id in the audit, and line by line how many."""

    audit_id: str
    lines: Sequence[Fact]
    stopped: str | None = None  # why it ended early


CarryOut = Callable[[Operator, ReplayControls], Done]


@dataclass(frozen=True, slots=True)
class Plan:
    """A change that is not made yet, as an operator reads it."""

    title: str
    label: str  # of the button that makes it
    facts: Sequence[Fact]
    commands: Sequence[str]
    back: str  # where the operator came from, with the filter
    carry_out: CarryOut
    total: int = 1  # steps
    groups: Sequence[tuple[str, str, int]] = ()  # provider, reason, how many
    refused: Mapping[str, int] = field(default_factory=dict)
    word: str | None = None  # to be typed, where it cannot be undone
    needs_reason: bool = True
    pace: Mapping[str, str] | None = None  # that can be chosen anew; None: it has none
    again: tuple[str, Sequence[Fact]] | None = None  # where and with which fields it is planned anew
    job: tuple[str, str] | None = None  # id and hash of the stored job that it is the plan of

    @property
    def hash(self) -> str:
        """What tells it apart from every other plan."""
        if self.job is not None:
            return self.job[1]
        told = (self.title, *self.facts, *self.commands, *self.groups, *sorted(self.refused.items()), self.word)
        return hashlib.sha256(repr(told).encode()).hexdigest()[:16]


@dataclass(slots=True)
class Change:
    """A plan in this process, and how far it is."""

    plan_id: str
    plan: Plan
    planner: SignedIn
    made_at: float
    operator: Operator | None = None  # who confirmed it, and why
    progress: int = 0
    done: Done | None = None
    failure: str | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None

    @property
    def is_running(self) -> bool:
        """Whether it is being made."""
        return self.operator is not None and self.done is None and self.failure is None

    def advance(self, count: int) -> None:
        """Note that so many steps more are done."""
        self.progress += count


class Plans:
    """The plans of this process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[str, Change] = {}
        self._lock = threading.Lock()

    def add(self, plan: Plan, planner: SignedIn) -> str:
        """Keep *plan*; return where its page is."""
        plan_id = secrets.token_urlsafe(12)
        with self._lock:
            self._known[plan_id] = Change(plan_id, plan, planner, self._clock())
            for key in [key for key, each in self._known.items() if not each.is_running][:-MAX_PLANS]:
                del self._known[key]
        return f"/plans/{plan_id}"

    def get(self, plan_id: str) -> Change:
        """Return the plan of that id. Raises HTTPGone where there is none any more."""
        found = self._known.get(plan_id)
        if found is None or (found.operator is None and self._clock() - found.made_at > PLAN_LIFETIME):
            raise web.HTTPGone(text="this plan is no longer kept: nothing of it was run from here. Plan it again.")
        return found

    def run(self, change: Change, operator: Operator) -> None:
        """Begin *change*, once; a second time nothing happens."""
        with self._lock:
            if change.operator is not None:
                return
            change.operator = operator
        change.thread = threading.Thread(target=_carry_out, args=(change, operator), name="change")
        change.thread.start()

    def close(self) -> None:
        """Ask what runs to stop after the step it is in, and wait for it."""
        running = [each for each in self._known.values() if each.is_running]
        for each in running:
            each.stop.set()
        for each in running:
            if each.thread is not None:
                each.thread.join(STOP_TIMEOUT)


def _carry_out(change: Change, operator: Operator) -> None:
    controls = ReplayControls(change.advance, change.stop.is_set, change.stop.wait)
    try:
        change.done = change.plan.carry_out(operator, controls)
    except (LedgerUnavailable, LedgerRefused, PublishError, RefusedRequest) as error:
        change.failure = str(error)
    except Exception:
        logger.exception("console.change_failed")
        change.failure = "a fault that nobody foresaw; the console's log shows it"


PLANS: Final = web.AppKey("plans", Plans)
