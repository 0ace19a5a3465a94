"""The run itself: prepare, start, publish, watch, sum up, and stop cleanly."""

import os
import re
import shlex
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from worker import broker, process
from worker.broker import messages
from worker.broker.publication import PublishError
from worker.broker.publisher import Publisher
from worker.demo.progress import Change, Progress, journal_keys, summarise, unproved_claims
from worker.demo.samples import SOURCE, Fixtures, load_samples
from worker.demo.state_dir import CONFIG, OPERATOR, locked, prepare, prepare_operator
from worker.demo.supervisor import ProcessSpec, Supervisor
from worker.demo.view import View
from worker.ledger import Ledger, LedgerUnavailable
from worker.operations import opening, opening_broker
from worker.operations.sealing_keys import sealing_key
from worker.sandbox.client import SandboxClient, free_port
from worker.settings import Settings
from worker.settings.files import CONFIG_FILE, DEFAULT_CONFIG_FILE
from worker.settings.names import PREFIX

POLL_INTERVAL: Final = 0.05  # seconds between two looks at the ledger
PAGE: Final = 1000  # changes read at once
TERMINAL_LOG_LEVEL: Final = "WARNING"  # of what the run itself logs, beside its view
SETTLE_TIMEOUT: Final = 60.0  # seconds until the samples must be settled or dead
REACH_TIMEOUT: Final = 10.0  # seconds until broker and ledger must answer
REACH_INTERVAL: Final = 1.0  # seconds between two tries

PERSON: Final = "peter.naur@example.com"  # of the samples; his token waits for a replay


class Interrupted(Exception):  # noqa: N818 - what is the case
    """Somebody asked a run that ends by itself to stop before that."""


class Unreachable(Exception):  # noqa: N818 - likewise
    """The broker or the ledger does not answer; one line that names it, without a password."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What was asked for: where to keep things, whether to end by itself, whether the figures are JSON."""

    folder: Path  # absolute
    once: bool
    as_json: bool


def run(options: RunOptions) -> bool:
    """Run everything; whether nothing was lost and every sample kept its promise. A run that stays up always ends well.

    Raises StateError, SettingsError, SealError, Unreachable, ProcessFailed, SandboxError, PublishError, and
    Interrupted where a run that ends by itself was stopped.
    """
    sandbox, logs = SandboxClient(free_port()), options.folder / "log"
    with ExitStack() as opened:
        stop = opened.enter_context(process.stop_event())
        view = opened.enter_context(View())
        lock = opened.enter_context(locked(options.folder, view.note, stop))
        settings = process.start(lambda: prepare(options.folder, sandbox.base_url), TERMINAL_LOG_LEVEL)
        ledger = wait_for_services(settings, view.note, stop)
        opened.callback(ledger.close)
        supervisor = opened.enter_context(Supervisor(_processes(sandbox), logs, lock, view.note))
        view.note(f"starting sandbox, recorder, worker, intake and console; their logs: {logs}")
        supervisor.start(stop)
        return _Demo(options, settings, sandbox, ledger, supervisor, view, stop).play()


def wait_for_services(settings: Settings, note: Callable[[str], None], stop: threading.Event) -> Ledger:
    """Declare the topology, so that what is published from now on is kept; return the ledger, its schema at the newest.

    Asks for REACH_TIMEOUT, or until *stop*; *note* gets one line about it. Raises Unreachable.
    """
    _wait_for(partial(opening_broker.declare_topology, settings), note, stop)
    _wait_for(partial(opening.upgrade_ledger, settings), note, stop)
    return Ledger.open(settings.ledger_url.get_secret_value(), audit_secret=settings.audit_secret())


def _wait_for(attempt: Callable[[], None], note: Callable[[str], None], stop: threading.Event) -> None:
    until, is_noted = time.monotonic() + REACH_TIMEOUT, False
    while True:
        try:
            return attempt()
        except (LedgerUnavailable, PublishError) as error:
            failed = str(error)
        if time.monotonic() > until or stop.is_set():
            raise Unreachable(f"not reachable: {failed}")
        if not is_noted:
            is_noted = True
            note(f"not reachable, asked again for {REACH_TIMEOUT:g} s: {failed}")
        stop.wait(REACH_INTERVAL)


@dataclass(slots=True)
class _Demo:
    """A run whose processes are up."""

    options: RunOptions
    settings: Settings
    sandbox: SandboxClient
    ledger: Ledger
    supervisor: Supervisor
    view: View
    stop: threading.Event
    cursor: int = 0  # of the ledger's changes: up to there they are known
    fixtures: Fixtures = field(init=False)
    progress: Progress = field(init=False)
    ledger_is_away: bool = False

    def __post_init__(self) -> None:
        while self._read_changes():
            pass  # what an earlier run left is not new
        self.fixtures = Fixtures(sealing_key(self.settings.keys_dir, None, None))
        self.progress = Progress([self.fixtures.event(sample) for sample in load_samples()])

    def play(self) -> bool:
        """Publish the samples, watch them to their end, sum up; then stay until stopped, unless once is enough."""
        if not self.stop.is_set():  # as it is by a Ctrl-C while the processes start
            self._publish()
        until = time.monotonic() + SETTLE_TIMEOUT
        self._watch(lambda: not self.progress.open or time.monotonic() > until)
        if self.options.once and self.stop.is_set():
            raise Interrupted("stopped before the samples were settled; what was published waits in the broker")
        if self.options.once:
            return self._sum_up()
        if not self.stop.is_set():
            self._sum_up()
            self.view.note(_next_steps(self.options.folder))
            self.view.note(self._console())
        self._watch(lambda: False)
        return True

    def _console(self) -> str:
        password = prepare_operator(self.options.folder, self.settings.console.users_file, self.ledger)
        url = _console_url(self.options.folder / "log")
        return f"""The console, with all of it as pages: {url}
  sign in as {OPERATOR}; the password is in {_near(password)}"""

    def _publish(self) -> None:
        self.sandbox.seed(self.fixtures.live)
        self.sandbox.script(self.fixtures.faults)
        samples = self.progress.samples
        self.view.begin({each.event_id: each.sample.title for each in samples}, self.settings.providers)
        user = broker.user(self.settings.broker_url.get_secret_value())
        events = [messages.event(body, each.event_type) for each in samples for body in each.bodies]
        with Publisher(broker.connector(self.settings)) as publisher:
            publisher.publish_all([replace(each, user_id=user) for each in events])

    def _watch(self, is_over: Callable[[], bool]) -> None:
        while not self.stop.is_set() and not is_over():
            self.supervisor.look_after()
            changes = self._changes()
            self.progress.learn(changes)
            self.view.show(changes, self.progress)
            self.stop.wait(0 if changes else POLL_INTERVAL)

    def _changes(self) -> list[Change]:
        try:
            changes = self._read_changes()
        except LedgerUnavailable as error:
            if not self.ledger_is_away:
                self.view.note(f"{error}; outcomes wait in the broker meanwhile")
            self.ledger_is_away = True
            return []
        self.ledger_is_away = False
        return changes

    def _read_changes(self) -> list[Change]:
        changes, self.cursor = self.ledger.changes_since(self.cursor, PAGE)
        return changes

    def _sum_up(self) -> bool:
        samples, rows = self.progress.samples, self.progress.rows
        published = [each.event_id for each in samples]
        summary = summarise(published, self.ledger.settled_or_dead(SOURCE, published), rows)
        self.view.sum_up(summary, as_json=self.options.as_json)
        keys = journal_keys(samples, self.fixtures, self.settings.catalogue(), datetime.now(UTC))
        complaints = [*self.progress.broken_promises(), *unproved_claims(rows, keys, self.sandbox.revoked())]
        for complaint in complaints:
            self.view.note(f"NOT AS IT SHOULD BE: {complaint}")
        return not complaints and not summary.lost


def _processes(sandbox: SandboxClient) -> list[ProcessSpec]:
    """The sandbox first: it outlives those who work on it."""
    arguments = ("sandbox", "--port", str(sandbox.port), "--auto-issue")
    return [
        ProcessSpec("sandbox", arguments, lambda _: sandbox.is_open()),
        ProcessSpec("recorder", ("recorder",), lambda log: "consumer.ready" in log),
        ProcessSpec("worker", ("worker",), lambda log: " ready." in log),
        ProcessSpec("intake", ("intake",), lambda log: "consumer.ready" in log),
        ProcessSpec("console", ("console",), lambda log: "console.listening" in log),
    ]


def _console_url(logs: Path) -> str:
    """Where the console listens, as its log tells."""
    told = re.findall(r"console\.listening.*?(https?://[^\s\"]+)", (logs / "console.log").read_text())
    return str(told[-1]) if told else "(its log says where)"


def _next_steps(folder: Path) -> str:
    """Three commands to try in another terminal while the run stays up, with the very paths that work there."""
    revoker = _command(folder)
    others = sorted(name for name in os.environ if name.startswith(PREFIX) and name != CONFIG_FILE)
    also = f" (set there, too: {', '.join(others)})" if others else ""
    return f"""
Everything stays up until Ctrl-C. Try next, in another terminal{also}:
  {revoker} explain {PERSON}
  {revoker} dlq list
  {revoker} dlq replay --dry-run --died-of auth.forbidden
"""


def _command(folder: Path) -> str:
    """`revoker` as installed beside this interpreter, with the configuration that it would not find by itself."""
    script = Path(sys.executable).parent / "revoker"
    command = shlex.quote(_near(script)) if script.exists() else shlex.join([*process.PYTHON, "worker.cli"])
    config = folder / CONFIG
    if config == DEFAULT_CONFIG_FILE.absolute():
        return command
    return f"{CONFIG_FILE}={shlex.quote(_near(config))} {command}"


def _near(path: Path) -> str:
    """*path* as seen from the working directory, where it lies below it."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
