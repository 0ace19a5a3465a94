"""The alerts on the series that were recorded from the bench, and the tools of that."""

from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
import yaml
from servers import wait_until

from chaos.alerts import faults
from chaos.alerts.recording import FASTER, STEP, Recording, recordings, series_from
from chaos.alerts.rules import CONFIG, ROOT, RULES, alerts
from chaos.alerts.scraping import Scraper, series_of
from chaos.alerts.trial import promtool, run, trial_of, tried

ALERTS = {alert.name: alert for alert in alerts()}
FORBIDDEN = 'revoker_dead_letters{instance="recorder",job="revoker",provider="wibmo",reason="auth.forbidden"}'
WELL = {
    f'revoker_build_info{{instance="{name}",process="{name}"}}': "1*60" for name in ("intake", "worker", "recorder")
}


def test_each_alert_fires_for_its_fault_alone_and_once_and_is_over(tmp_path: Path) -> None:
    """With the words and labels that somebody will read; and where nothing is wrong none fires."""
    found = run([trial_of(each, ALERTS) for each in recordings()], tmp_path)
    assert found.returncode == 0, found.stdout


def test_each_alert_has_a_recording_of_the_fault_it_is_for() -> None:
    """And one is of no fault."""
    assert sorted(each.alert for each in recordings()) == sorted(["", *ALERTS])
    assert {each.alert: each.fault for each in recordings()} == {
        alert: row.about for alert, row in faults.rows().items()
    }


@pytest.mark.parametrize("arguments", [("rules", RULES), ("config", CONFIG)], ids=["rules", "config"])
def test_promtool_takes_what_is_shipped(arguments: tuple[str, Path]) -> None:
    """Prometheus would start with it."""
    found = promtool("check", *arguments)
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ("0*9 1*9 0*9 1*9 0*9", {"provider": "wibmo"}),
        ("0*9 1*51", {"provider": "wibmo"}),
        ("0*30", {"provider": "wibmo"}),
        ("0*9 1*9 0*9", {"provider": "genesys"}),
    ],
    ids=["twice", "still at the end", "never", "of another provider"],
)
def test_a_trial_notices_an_alert_that_fires(tmp_path: Path, values: str, labels: Mapping[str, str]) -> None:
    """Else it would prove nothing."""
    of = Recording("RevokerCallForbidden", "", 60, 0, 0, 9 * STEP, 18 * STEP, labels, {**WELL, FORBIDDEN: values})
    assert run([trial_of(of, ALERTS)], tmp_path).returncode == 1


def test_a_held_directory_is_a_flood_that_waits(tmp_path: Path) -> None:
    """An operator is told once, and it is over when the directory is not held any more."""
    held = 'revoker_directory_held_people{door="corp",instance="ldap",job="revoker"}'
    of = Recording("RevokerFloodWaiting", "", 60, 0, 0, 9 * STEP, 18 * STEP, {}, {**WELL, held: "0*9 5*9 0*9 stale"})
    found = run([trial_of(of, ALERTS)], tmp_path)
    assert found.returncode == 0, found.stdout


def test_a_trial_notices_another_alert(tmp_path: Path) -> None:
    """A fault that wakes somebody twice, or by the wrong name, fails."""
    without_worker = {name: "1*60" for name in WELL if "worker" not in name}
    told = {"provider": "wibmo"}
    series = {FORBIDDEN: "0*9 1*9 0*9 stale"}
    alone = Recording("RevokerCallForbidden", "", 60, 0, 0, 9 * STEP, 18 * STEP, told, {**WELL, **series})
    beside = Recording("RevokerCallForbidden", "", 60, 0, 0, 9 * STEP, 18 * STEP, told, {**without_worker, **series})
    assert run([trial_of(alone, ALERTS)], tmp_path).returncode == 0
    assert run([trial_of(beside, ALERTS)], tmp_path).returncode == 1


BREAKER, UNSETTLED = 'revoker_breaker_state{provider="wibmo"}', 'revoker_oldest_unsettled_seconds{provider="wibmo"}'
SETTLED = 'revoker_exposure_seconds_count{provider="wibmo"}'
LATE = 'revoker_exposure_late_total{provider="wibmo"}'
OBJECTIVE = "revoker_exposure_objective_ratio{}"


def late(revocations: str, objective: str) -> Mapping[str, str]:
    """So many, and no other one, after twenty minutes."""
    values = f"0*20 {revocations}*40"
    return {SETTLED: values, LATE: values, OBJECTIVE: f"{objective}*60"}


@pytest.mark.parametrize(
    ("quiet", "loud"),
    [
        ({BREAKER: "3*60", UNSETTLED: "20*60"}, {BREAKER: "0*60", UNSETTLED: "20*60"}),
        ({BREAKER: "0*20 2*9 0*31"}, {BREAKER: "0*20 2*11 0*29"}),
        (late("1", "0.99"), late("9", "0.99")),
        (late("9", "0.5"), late("9", "0.95")),
    ],
    ids=["a person holds the provider", "a short hold", "one late revocation in a quiet night", "a laxer objective"],
)
def test_what_nobody_can_do_anything_about_wakes_nobody(
    tmp_path: Path, quiet: Mapping[str, str], loud: Mapping[str, str]
) -> None:
    """What somebody must see fires, and what is a little less does not."""
    trials = [trial_of(Recording("", "", 60, 0, 0, series={**WELL, **series}), ALERTS) for series in (quiet, loud)]
    assert [run([each], tmp_path).returncode for each in trials] == [0, 1]


def test_the_calls_of_a_held_provider_start_no_worker(tmp_path: Path) -> None:
    """On the series of a real hold: more than fifty calls waited, and the query that scales the workers told of few."""
    [held] = [each for each in recordings() if each.alert == "RevokerProviderHeld"]
    manifest = yaml.safe_load((ROOT / "deploy/kubernetes/autoscaling/worker.yaml").read_text())
    [query] = [each["metadata"]["query"] for each in manifest["spec"]["triggers"] if each["name"] == "backlog"]
    window = f"[{held.end}s:{STEP}s]"
    most = [f"max_over_time(({query}){window}) < bool 10", f"max_over_time(sum(revoker_queue_depth){window}) > bool 50"]
    asked = [
        {"expr": each, "eval_time": f"{held.end}s", "exp_samples": [{"labels": "{}", "value": 1}]} for each in most
    ]
    test = {"interval": f"{STEP}s", "input_series": held.stretched(), "promql_expr_test": asked}
    found = run([test], tmp_path)
    assert found.returncode == 0, found.stdout


def test_when_an_alert_fired_is_found_out_from_promtool(tmp_path: Path) -> None:
    """The table of docs/runbooks.md says it."""
    series = {**WELL, FORBIDDEN: "0*9 1*9 0*42"}
    found = tried(Recording("RevokerCallForbidden", "", 60, 0, 0, series=series), tmp_path)
    assert (found.fires, found.resolved, found.labels) == (9 * STEP, 18 * STEP, {"provider": "wibmo"})


def test_what_is_a_time_is_stretched_and_what_is_a_count_is_not() -> None:
    """Ages and timestamps are in seconds of the rules' clock."""
    series = {
        "revoker_oldest_unsettled_seconds{}": "0.5 2",
        "revoker_consumer_last_activity_timestamp_seconds{}": "1",
        "revoker_exposure_seconds_count{}": "4 _*2 stale",
    }
    told = [(each["series"], each["values"]) for each in Recording("", "", 3, 0, 0, series=series).stretched()]
    assert FASTER == 60
    assert told == [
        ("revoker_oldest_unsettled_seconds{}", "30 120"),
        ("revoker_consumer_last_activity_timestamp_seconds{}", "60"),
        ("revoker_exposure_seconds_count{}", "4 _x2 stale"),
    ]


def test_only_what_rules_look_at_is_recorded() -> None:
    """Of the metrics that they read, with whom was asked as instance."""
    assert series_of("a 1\nb 3\n", "worker", {"a"}) == {'a{instance="worker",job="revoker"}': 1}


@pytest.fixture
def metrics_server() -> Iterator[int]:
    """A process that tells of a gauge, which grows with each scrape; its port."""
    asked: list[None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(None)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(f"revoker_ready {len(asked)}\n".encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_scraper_asks_all_processes_in_each_round(metrics_server: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the moment when each of them answers; what is told by none then is said to be gone."""
    monkeypatch.setattr("chaos.alerts.scraping.INTERVAL", 0.05)
    scraper = Scraper({"worker": metrics_server}, ["revoker_ready"])
    with scraper:
        wait_until(lambda: len(scraper.rounds) >= 3, 5, "three rounds")
    count, series = series_from(scraper)
    [told] = series.values()
    assert count == max(scraper.rounds) + 1
    assert told.startswith("2 3 4")
    scraper.rounds = {0: {"a": 1.5, "b": 0.0}, 1: {"a": 1.5}, 3: {"a": 7}, 4: {}}
    assert series_from(scraper) == (5, {"a": "1.5*2 _ 7 stale", "b": "0 stale _*3"})
