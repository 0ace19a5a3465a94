"""What the documents quote as measured or proved is what was measured, and what is proved."""

import json
import re

from chaos import report
from documents import PAGES, ROOT, links, tables_of


def test_the_quoted_speed_is_the_measured_one() -> None:
    """Each line of the speed table is a row of `benchmarks/results.json`, rounded."""
    results = json.loads((ROOT / "benchmarks/results.json").read_text())
    measured = {(each["row"], each["broker"]): each for each in results}
    digits = {"calls_per_second": 0, "cpu_us_per_call": 0, "memory_mb": 0, "p50_ms": 1, "p99_ms": 1}
    quoted = [row for rows in tables_of("measured row") for row in rows]
    assert quoted
    is_older = ("ours, as installed", "rabbitmq") not in measured  # than some of the rows
    for row, broker, *told in quoted:
        figures = measured.get((row, broker), dict.fromkeys(digits)) if is_older else measured[row, broker]
        assert told == ["–" if figures[name] is None else f"{figures[name]:.{n}f}" for name, n in digits.items()]


def test_the_table_of_faults_is_that_of_the_results() -> None:
    """`results.md` is `results.json` as a table, with why a duplicate does no harm; docs/promises.md links it."""
    results = json.loads((ROOT / "tests/chaos/results.json").read_text())
    page = ROOT / "tests/chaos/results.md"
    assert page.read_text() == f"{report.table(results)}\n\n{report.arguments(results)}\n"
    assert page in {file for file, _ in links(ROOT / "docs/promises.md")}


def test_every_row_of_faults_has_passed_and_lost_nothing() -> None:
    """What docs/promises.md promises of every row."""
    results = json.loads((ROOT / "tests/chaos/results.json").read_text())
    assert all(each["passed"] and each["lost"] == 0 and not each.get("living") for each in results)


def test_the_aims_that_are_met_are_counted_right() -> None:
    """docs/performance.md says how many, and links the table of them."""
    reached = re.findall(r" (met|MISSED)$", (ROOT / "benchmarks/results.md").read_text(), re.MULTILINE)
    page = ROOT / "docs/performance.md"
    assert f"{reached.count('met')} of {len(reached)} aims are met" in " ".join(PAGES[page].split())
    assert ROOT / "benchmarks/results.md" in {file for file, _ in links(page)}


def test_every_test_that_the_documents_name_exists() -> None:
    """A countermeasure whose test is gone is a promise that nobody keeps."""
    tests = "".join(file.read_text() for file in (ROOT / "tests").rglob("*.py"))
    named = re.findall(r"`(test_\w+)`", PAGES[ROOT / "docs/security.md"])
    assert len(named) > sum(map(len, tables_of("threat")))
    assert [name for name in re.findall(r"`(test_\w+)`", "".join(PAGES.values())) if f"def {name}(" not in tests] == []
