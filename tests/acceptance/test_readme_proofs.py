"""What the README quotes as measured or proved is what was measured, and what is proved."""

import json
import re

from chaos import report
from readme import README, ROOT, section, table


def test_the_quoted_speed_is_the_measured_one() -> None:
    """Each line of the speed table is a row of `benchmarks/results.json`, rounded."""
    results = json.loads((ROOT / "benchmarks/results.json").read_text())
    measured = {(each["row"], each["broker"]): each for each in results}
    digits = {"calls_per_second": 0, "cpu_us_per_call": 0, "memory_mb": 0, "p50_ms": 1, "p99_ms": 1}
    quoted = table("measured row")
    assert quoted
    for row, broker, *told in quoted:
        figures = measured[row, broker]
        assert told == ["–" if figures[name] is None else f"{figures[name]:.{n}f}" for name, n in digits.items()]


def test_the_quoted_faults_are_the_measured_ones() -> None:
    """Every row of `results.json`, and why a duplicate does no harm; nothing was lost, and every row has passed."""
    results = json.loads((ROOT / "tests/chaos/results.json").read_text())
    assert report.table(results) in README
    assert report.arguments(results) in README
    assert all(each["passed"] and each["lost"] == 0 for each in results)


def test_every_test_that_the_readme_names_exists() -> None:
    """A countermeasure whose test is gone is a promise that nobody keeps."""
    tests = "".join(file.read_text() for file in (ROOT / "tests").rglob("*.py"))
    named = re.findall(r"`(test_\w+)`", section("Security"))
    assert len(named) > len(table("threat"))
    assert [name for name in named if f"def {name}(" not in tests] == []
