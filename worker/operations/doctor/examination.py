"""The whole examination: all checks at once, each by itself, each within its time."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Final

from worker import broker
from worker.operations.doctor import directories, doors, embedded, files, keys, ledger, providers, rabbitmq, redaction
from worker.operations.doctor.findings import Finding
from worker.settings import Settings, SettingsError

CHECK_TIMEOUT: Final = 30.0  # seconds that one check may take; all run at once

Examiner = Callable[[], Iterable[Finding]]


def diagnose(process: str | None = None) -> Iterator[Finding]:
    """Every finding about this installation. Changes nothing, and does not raise.

    *process* names the one whose broker user the settings name; None: one user does everything, or one job.
    """
    try:
        settings = Settings.load()
    except SettingsError as error:
        yield from (Finding("settings", "failed", line) for line in str(error).splitlines())
    else:
        yield Finding("settings", "ok", "all are known and usable")
        yield from examine(settings, process)


def examine(settings: Settings, process: str | None = None) -> Iterator[Finding]:
    """The findings about what *settings* lead to, as `diagnose` has them."""
    return run(examiners(settings, process))


def examiners(settings: Settings, process: str | None) -> list[tuple[str, str, Examiner]]:
    """Each check by the name under which it is reported where it breaks off, with what it is about."""
    is_embedded = broker.is_embedded(settings.broker_url.get_secret_value())
    of_broker = partial(embedded.examine, settings) if is_embedded else partial(rabbitmq.examine, settings, process)
    return [
        ("broker.connection", "", of_broker),
        ("ledger.connection", "", partial(ledger.examine, settings)),
        *(("provider.connection", name, partial(providers.examine, settings, name)) for name in settings.providers),
        ("keys.sealing", "", partial(keys.examine_sealing, settings)),
        ("keys.signing", "", partial(keys.examine_sources, settings)),
        ("door.events", "", partial(doors.examine, settings)),
        ("directory.connection", "", partial(directories.examine, settings)),
        ("files.modes", "", partial(files.examine_modes, settings)),
        ("files.certificates", "", partial(files.examine_certificates, settings)),
        ("disk.room", "", partial(files.examine_room, settings)),
        ("redaction.logs", "", redaction.examine_logs),
        ("redaction.reports", "", redaction.examine_reports),
    ]


def run(checks: Sequence[tuple[str, str, Examiner]], timeout: float = CHECK_TIMEOUT) -> Iterator[Finding]:
    """The findings of *checks* in their order. One that raises or hangs is `unknown`; what it found before stays."""
    running = [_Running(*each) for each in checks]
    deadline = time.monotonic() + timeout
    for each in running:
        yield from each.findings(deadline)


class _Running:
    """A check under way, in a thread that the process does not wait for when it ends."""

    def __init__(self, name: str, about: str, examiner: Examiner) -> None:
        self._name, self._about, self._examiner = name, about, examiner
        self._found: list[Finding] = []
        self._thread = threading.Thread(target=self._run, name=f"doctor {name} {about}", daemon=True)
        self._thread.start()

    def findings(self, deadline: float) -> list[Finding]:
        """What it found until *deadline*, on the monotonic clock."""
        self._thread.join(max(0.0, deadline - time.monotonic()))
        found = list(self._found)
        return [*found, self._unknown("no answer in time")] if self._thread.is_alive() else found

    def _run(self) -> None:
        try:
            for each in self._examiner():
                self._found.append(each)
        except Exception as error:  # noqa: BLE001 - one check that breaks off takes no other along
            self._found.append(self._unknown(f"the check broke off ({type(error).__name__})"))

    def _unknown(self, what: str) -> Finding:
        last = self._found[-1].check if self._found else None
        detail = f"{what}; what comes after {last} was not looked at" if last else what
        return Finding(self._name, "unknown", detail, "look at it by hand, and run the doctor again", self._about)
