"""Hundreds of cases that take a millisecond each as one test: to collect and to report a test takes longer than that.

    @in_one_test
    @pytest.mark.parametrize("value", ...)
    def test_...

Every case is tried, also after one that fails, and each that fails is named. They share the test's fixtures but for
`monkeypatch`: each has one of its own.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import product
from typing import Any, Final

import pytest

Case = tuple[str, Mapping[str, Any]]  # a name, and the values
Faults = list[tuple[str, BaseException]]

_FAILURES: Final = (Exception, pytest.fail.Exception)
_OF_A_SET: Final = type(pytest.param())


def in_one_test(test: Callable[..., Any]) -> Callable[..., Any]:
    """Make one test of all cases of the parametrized function *test*."""
    marks: list[pytest.Mark] = test.pytestmark  # type: ignore[attr-defined] # set by the decorators below this one
    sets = [mark for mark in marks if mark.name == "parametrize"]
    cases = [_merged(parts) for parts in product(*map(_cases, sets))]
    signature = inspect.signature(test)
    fixtures = [each for name, each in signature.parameters.items() if name not in cases[0][1]]
    whole: Any = (_awaiting if inspect.iscoroutinefunction(test) else _calling)(test, cases)
    whole.__name__, whole.__qualname__, whole.__module__ = test.__name__, test.__qualname__, test.__module__
    whole.__doc__, whole.__signature__ = test.__doc__, signature.replace(parameters=fixtures)
    whole.pytestmark, whole.cases = [mark for mark in marks if mark not in sets], len(cases)
    return whole  # type: ignore[no-any-return] # it has members that no function has


def pytest_report_collectionfinish(items: Sequence[pytest.Item]) -> str:
    """Tell how many cases the tests have."""
    return f"{sum(getattr(getattr(item, 'obj', None), 'cases', 1) for item in items)} cases in {len(items)} tests"


def _calling(test: Callable[..., Any], cases: Sequence[Case]) -> Callable[..., Any]:
    def call_all(**fixtures: Any) -> None:
        with _all_told(len(cases)) as faults:
            for name, values in cases:
                with _told(name, faults), pytest.MonkeyPatch.context() as patch:
                    own = {"monkeypatch": patch} if "monkeypatch" in fixtures else {}
                    test(**{**fixtures, **own, **values})

    return call_all


def _awaiting(test: Callable[..., Any], cases: Sequence[Case]) -> Callable[..., Any]:
    async def await_all(**fixtures: Any) -> None:
        with _all_told(len(cases)) as faults:
            for name, values in cases:
                with _told(name, faults):
                    await test(**fixtures, **values)

    return await_all


def _cases(mark: pytest.Mark) -> Iterator[Case]:
    """Each set of values of one `parametrize`, named by its id where it has one."""
    names, sets = mark.args
    names = names.split(",") if isinstance(names, str) else names
    sets, ids = list(sets), mark.kwargs.get("ids")
    known = [None] * len(sets) if ids is None or callable(ids) else list(ids)
    for each, name in zip(sets, known, strict=True):
        values = each.values if isinstance(each, _OF_A_SET) else (each,) if len(names) == 1 else each
        shown = "-".join(str(ids(value) if callable(ids) else value) for value in values)
        yield name or getattr(each, "id", None) or shown, dict(zip(map(str.strip, names), values, strict=True))


def _merged(parts: Sequence[Case]) -> Case:
    return ", ".join(name for name, _ in parts), {key: value for _, values in parts for key, value in values.items()}


@contextmanager
def _told(name: str, faults: Faults) -> Iterator[None]:
    try:
        yield
    except _FAILURES as fault:
        fault.add_note(f"in the case {name}")
        faults.append((name, fault))


@contextmanager
def _all_told(cases: int) -> Iterator[Faults]:
    faults: Faults = []
    yield faults
    if faults:
        names = "; ".join(name for name, _ in faults)  # pytest shows the first 15 faults only
        raise BaseExceptionGroup(f"{len(faults)} of {cases} cases: {names}", [fault for _, fault in faults])
