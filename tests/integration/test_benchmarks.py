"""The benchmark itself, in small: it is run too seldom to notice by itself that it no longer works."""

import json
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from servers import Processes, RabbitNode

from benchmarks import comparing, installed, latency, report
from benchmarks.counting import CountingProvider
from benchmarks.draining import drain
from benchmarks.installation import Installation, user_id
from benchmarks.ours import OurRow, Setup
from benchmarks.peer import PEER_ROWS
from benchmarks.plan import QUICK
from benchmarks.publishing import publish
from benchmarks.results import Result, together
from benchmarks.stage import Stage
from benchmarks.targets import targets

MACHINE = {
    **dict.fromkeys(("date", "commit", "cpu", "system", "python", "rabbitmq", "erlang"), "some"),
    "quick": True,
    "load_at_start": 0.1,
    "others_percent": 3,
    "cores": 2,
    "memory_gb": 8,
    "provider_us_per_request": 25.0,
    "ours": {"celery": "5"},
    "peers": {f"peer-{n}": "1.2.3" for n in range(12)},
}
RESULTS = [
    Result("ours, calls", "rabbitmq", 900.0, 1000.0, 60.0, 1.5, 4.0, 0, 0, 3, (800.0, 950.0), "throughput"),
    Result("floor, lean", "rabbitmq", 4500.0, 220.0, 32.0, 1.0, 2.0, 0, 0, 3, (4400.0, 4600.0), "throughput"),
    Result("intake", "rabbitmq", 3500.0, section="stations"),
    Result("ours, 1 provider", "rabbitmq", 900.0, section="calls/s by number of providers", x=1),
    Result("ours, 10 providers", "rabbitmq", 880.0, section="calls/s by number of providers", x=10),
]
KEYS = {"row", "broker", "calls_per_second", "cpu_us_per_call", "memory_mb", "p50_ms", "p99_ms", "lost", "duplicates"}


@pytest.fixture
def stage(tmp_path: Path, rabbitmq: RabbitNode, processes: Processes) -> Iterator[Stage]:
    """What rows run on, the provider on plain asyncio."""
    with closing(CountingProvider(processes, sys.executable)) as provider:
        yield Stage(tmp_path, rabbitmq, processes, provider)


def test_a_row_counts_every_call_at_the_provider(stage: Stage) -> None:
    """Calls that wait in the queue are made once each, and have cost something."""
    row = OurRow(Setup(broker="embedded", in_flight=20), stage)
    row.prepare()
    drained = drain(row, stage.provider, row.messages(100), latency=0.01)
    assert (drained.lost, drained.duplicates) == (0, 0)
    assert drained.calls_per_second > 0
    assert drained.memory_mb > 10
    assert set(stage.provider.arrivals()) == {user_id(n) for n in range(1, 101)}


def test_latency_is_measured_through_both_stages(stage: Stage) -> None:
    """Events on RabbitMQ, published at a steady pace: intake and worker lose none of them."""
    row = OurRow(Setup(work="events", in_flight=20), stage)
    row.prepare()
    unloaded, loaded = latency.measure(row, stage, pings=20, capacity=200.0, seconds=0.3)
    row.close()
    assert (unloaded.lost, unloaded.duplicates, loaded.lost) == (0, 0, 0)
    assert unloaded.p50 is not None
    assert unloaded.p50 > 0


def test_what_users_run_is_measured_on_both_brokers(stage: Stage) -> None:
    """Each process has its part of an event's CPU, the producer is told apart, nothing is lost or made twice."""
    small = replace(QUICK, installed_seconds=0.3, loaded_seconds=0.1)
    rows = list(installed.measure(stage, small))
    of_broker = [[each.row for each in rows if each.broker == kind] for kind in ("rabbitmq", "embedded")]
    assert of_broker[0] == of_broker[1]
    assert {"ours, as installed", "its intake", "its worker", "its recorder", "its producer"} < set(of_broker[0])
    assert [each.lost for each in rows if each.lost is not None] == [0, 0, 0, 0]
    assert all(each.p99_ms for each in rows if each.row.startswith(("ours", "user.disabled")))


def test_rounds_become_one_row_of_medians_and_sums() -> None:
    """What was lost in one round is lost, however fast the others were; a figure that no round has is none."""
    rounds = [
        Result("intake", "rabbitmq", rate, cpu, None, lost=lost, duplicates=1, section="stations")
        for rate, cpu, lost in [(3000.0, 300.0, 0), (1000.0, 900.0, 2), (2900.0, 310.0, 0)]
    ]
    expected = Result("intake", "rabbitmq", 2900.0, 310.0, lost=2, duplicates=3, rounds=3, section="stations")
    assert together(rounds) == replace(expected, spread=(1000.0, 3000.0))


def test_the_files_of_a_run_can_be_read(tmp_path: Path) -> None:
    """results.json is a list of rows with their ten figures, every plot is well-formed."""
    publish(tmp_path, RESULTS, "the table", MACHINE)
    rows = json.loads((tmp_path / "results.json").read_text())
    assert [each["row"] for each in rows] == [each.row for each in RESULTS]
    assert all(set(each) == {*KEYS, "rounds"} for each in rows)
    plots = sorted(each.name for each in (tmp_path / "plots").iterdir())
    assert {"calls-per-second.svg", "memory-mb.svg", "providers.svg"} <= set(plots)
    for name in plots:
        assert ET.parse(tmp_path / "plots" / name).getroot().tag.endswith("svg")  # noqa: S314 - our own file


def test_two_runs_are_compared_by_their_ratios() -> None:
    """All rows were half as fast in the second run, which changes no ratio; one was slower still."""
    rates = {"ours, calls": (2000, 1000), "floor, lean": (4000, 2000), "taskiq": (3000, 1200)}
    one, other = (
        [asdict(Result(row, "rabbitmq", float(both[run]))) for row, both in rates.items()] for run in range(2)
    )
    text = comparing.table(one, other)
    assert "1 of 2 ratios" in text
    assert "| floor, lean | rabbitmq | calls/s | 2.00 | 2.00 | 0% | yes |" in text
    assert "| taskiq | rabbitmq | calls/s | 1.50 | 1.20 | 20% | no |" in text


def test_every_asynchronous_peer_has_a_row_with_our_promises() -> None:
    """As the plain row in everything but the promises."""
    names = {peer.name: peer for peer in PEER_ROWS}
    promising = {name.removesuffix(", promises") for name in names if name.endswith(", promises")}
    assert promising == {"dramatiq asyncio", "taskiq", "FastStream", "aio-celery", "floor, lean"}
    assert all(names[name].command == names[f"{name}, promises"].command for name in promising)


def test_the_report_fits_eighty_columns() -> None:
    """It shows each row and each target beside what was reached."""
    text = report.text(RESULTS, targets(RESULTS), MACHINE, {"floor, lean": "word " * 40})
    assert max(len(line) for line in text.splitlines()) <= 80
    assert all(each.row in text for each in RESULTS)
    assert "MISSED" in text
    assert "not measured" in text


def test_every_peer_is_given_the_call_that_we_are_given(tmp_path: Path) -> None:
    """Real JSON, and the same document in each engine's wire format."""
    ours = Installation(tmp_path, "embedded:///unused", "http://127.0.0.1:1", "sqlite:///unused")
    (document, *_), *_ = json.loads(ours.calls(1)[0].body)
    for peer in PEER_ROWS:
        assert json.dumps(document, separators=(",", ":")).encode() in peer.wire(document).body
