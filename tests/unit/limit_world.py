"""A database with its clock, workers with permits, and a provider that counts what arrives."""

from bisect import bisect_left
from dataclasses import dataclass, field

from worker.calls.rate_limits.window import Ages, Ask, Grant, Limit, Record, lease


@dataclass
class Worker:
    """What one worker holds, and what it has to report."""

    ages: Ages = field(default_factory=Ages)
    held: int = 0
    spare: int = 0
    good_until: float = 0.0
    made: list[float] = field(default_factory=list)


@dataclass
class World:
    """A database and its clock, workers with permits, a provider that counts; real time is *now*."""

    limit: Limit
    now: float = 1e9
    set_by: float = 0.0  # how far the database's clock was set
    record: Record = field(default_factory=Record)
    workers: dict[str, Worker] = field(default_factory=dict)
    arrivals: list[float] = field(default_factory=list)

    def ask(  # noqa: PLR0913 - what a worker may need
        self, name: str, urgent: int = 0, routine: int = 0, *, spare: int = 0, leaves: bool = False, heard: bool = True
    ) -> Grant:
        """What worker *name* gets; the record goes through its text, as in the database. *heard*: by the worker."""
        worker = self.worker(name)
        made = tuple(self.now - at for at in worker.made)
        ask = Ask(name, urgent, routine, spare, worker.held, worker.spare, made, leaves=leaves)
        known = worker.ages.known(Record.load(self.record.dump()), self.now + self.set_by, self.now)
        self.record, grant = lease(self.limit, known, ask, self.now + self.set_by)
        if heard:
            worker.ages.remember(self.record, self.now)
            worker.made.clear()
            worker.held, worker.spare = worker.held + grant.permits, worker.spare + grant.spare
            worker.good_until = self.now + self.limit.permit_ttl
        return grant

    def worker(self, name: str) -> Worker:
        """The worker, with the permits that are good."""
        worker = self.workers.setdefault(name, Worker())
        if self.now >= worker.good_until:
            worker.held = worker.spare = 0
        return worker

    def use(self, name: str, count: int, late: float, *, spare: bool = False) -> int:
        """Make *count* calls with permits that are good; each arrives *late*. How many there were."""
        worker = self.worker(name)
        used = min(count, worker.spare if spare else worker.held)
        worker.held, worker.spare = (worker.held, worker.spare - used) if spare else (worker.held - used, worker.spare)
        worker.made += [self.now] * used
        self.arrivals += [self.now + late] * used
        return used

    def call(self, name: str, urgent: int = 0, routine: int = 0, late: float = 0.0) -> int:
        """Make the calls that are permitted at once; how many."""
        self.ask(name, urgent, routine)
        return self.use(name, urgent + routine, late)

    def worst(self) -> int:
        """The most calls that the provider saw in any window."""
        times = sorted(self.arrivals)
        return max((bisect_left(times, at + self.limit.window) - i for i, at in enumerate(times)), default=0)
