"""The long form: `--minutes M` shares M minutes among all properties; the end counts the cases of each."""

import time
from collections.abc import Generator
from functools import wraps
from typing import Any

import pytest

CASES = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the minutes; without them each property is tried once, for seconds."""
    parser.addoption("--minutes", type=float, default=0.0, help="minutes to fuzz, for all properties together")


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Count the cases, and go on with new ones until the property's share of the minutes is over."""
    if not getattr(pyfuncitem.obj, "is_hypothesis_test", False):
        return (yield)
    end = time.monotonic() + _share(pyfuncitem.session)
    known = pyfuncitem.obj.hypothesis.inner_test
    pyfuncitem.obj.hypothesis.inner_test = _counting(known, pyfuncitem)
    try:
        result = yield
        while time.monotonic() < end:
            pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames})
        return result
    finally:
        pyfuncitem.obj.hypothesis.inner_test = known
        pyfuncitem.user_properties.append(("cases", pyfuncitem.stash[CASES]))


def _share(session: pytest.Session) -> float:
    """Seconds of each property."""
    functions = [item.obj for item in session.items if isinstance(item, pytest.Function)]
    properties = sum(bool(getattr(each, "is_hypothesis_test", False)) for each in functions)
    minutes: float = session.config.getoption("--minutes", 0.0)
    return float(minutes * 60 / properties)


def _counting(inner: Any, item: pytest.Function) -> Any:
    item.stash[CASES] = 0

    @wraps(inner)
    def counted(*args: Any, **kwargs: Any) -> Any:
        item.stash[CASES] += 1
        return inner(*args, **kwargs)

    return counted


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how many cases each property was tried with, how many all were, and in how many minutes."""
    reports = [*terminalreporter.stats.get("passed", ()), *terminalreporter.stats.get("failed", ())]
    rows = [(report.nodeid.partition("::")[2], value, report.duration) for report in reports if report.when == "call"
            for name, value in report.user_properties if name == "cases"]  # fmt: skip
    if not rows:
        return
    terminalreporter.section("fuzzing")
    for name, cases, seconds in sorted(rows):
        terminalreporter.write_line(f"{cases:>10} cases {seconds / 60:>6.2f} min  {name}")
    total, minutes = sum(cases for _, cases, _ in rows), sum(seconds for *_, seconds in rows) / 60
    terminalreporter.write_line(f"{total:>10} cases {minutes:>6.2f} min  in all")
