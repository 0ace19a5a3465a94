"""The longest tests begin first, the shortest fill the gaps at the end: all cores are busy to the last.

`durations.json` has the seconds of every test that took long; `--record-durations` writes it anew from this run.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Final

import pytest

DURATIONS: Final = Path(__file__).with_name("durations.json")
LONG: Final = 2.0  # seconds, of set-up, test and tear-down together
FOLDERS: Final = ("chaos/", "acceptance/", "fuzz/", "integration/", "providers/", "unit/", "")

_seconds: Final = Counter[str]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the wish for a new file."""
    parser.addoption("--record-durations", action="store_true", help=f"write {DURATIONS.name} from this run")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long tests in the order of their length, then the others by folder; like ones stay in random order."""
    known: dict[str, float] = json.loads(DURATIONS.read_text())
    items.sort(key=lambda item: (-known.get(item.nodeid, 0.0), _folder(item.nodeid)))


def _folder(nodeid: str) -> int:
    return next(place for place, name in enumerate(FOLDERS) if name in nodeid)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Count what each test takes; in the process that runs the workers, theirs arrive."""
    _seconds[report.nodeid] += report.duration


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the file where that was asked for; what this run did not try keeps its seconds."""
    if session.config.getoption("--record-durations") and not hasattr(session.config, "workerinput"):
        known: dict[str, float] = json.loads(DURATIONS.read_text())
        new = {**known, **{test: round(seconds, 1) for test, seconds in _seconds.items()}}
        long = {test: seconds for test, seconds in sorted(new.items()) if seconds >= LONG}
        DURATIONS.write_text(json.dumps(long, indent=0) + "\n")
