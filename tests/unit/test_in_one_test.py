"""Many cases as one test: all are tried, each that fails is named, and a fixture is what it was."""

import os

import pytest
from in_one_test import in_one_test

TRIED: list[tuple[str, int]] = []


@pytest.fixture
def letter() -> str:
    """A fixture of a test of many cases."""
    return "x"


@in_one_test
@pytest.mark.parametrize("name", ["A", "B"], ids=["the first", "the second"])
@pytest.mark.parametrize(("number", "square"), [(1, 1), pytest.param(2, 4, id="two"), (3, 9)])
def test_each_case_has_its_values_the_fixtures_and_a_monkeypatch_of_its_own(
    monkeypatch: pytest.MonkeyPatch, letter: str, name: str, number: int, square: int
) -> None:
    """What one case has set is gone for the next."""
    assert number**2 == square
    assert "SET_BY_A_CASE" not in os.environ
    monkeypatch.setenv("SET_BY_A_CASE", name + letter)


def test_every_case_is_tried_and_each_that_fails_is_named() -> None:
    """By failed assertions, exceptions, and what did not raise."""

    @in_one_test
    @pytest.mark.parametrize("number", range(40))
    @pytest.mark.parametrize("name", ["good", "bad"], ids=str.upper)
    def several(name: str, number: int) -> None:
        TRIED.append((name, number))
        if name == "bad":
            assert number != 7
            with pytest.raises(ZeroDivisionError):
                1 / (number - 8)

    TRIED.clear()
    with pytest.raises(BaseExceptionGroup) as failed:
        several()
    assert sorted(TRIED) == sorted((name, number) for name in ("good", "bad") for number in range(40))
    assert str(failed.value).startswith("39 of 80 cases: BAD, 0; BAD, 1; BAD, 2; ")
    assert [fault.__notes__ for fault in failed.value.exceptions][7] == ["in the case BAD, 7"]


async def test_coroutines_are_awaited_one_after_the_other() -> None:
    """Likewise."""

    @in_one_test
    @pytest.mark.parametrize("number", [1, 2])
    async def several(number: int) -> None:
        assert number == 1

    with pytest.raises(BaseExceptionGroup, match="1 of 2 cases: 2"):
        await several()
