"""When more workers are started: the queries of the manifests, asked by Prometheus's own promtool."""

import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from chaos.alerts.recording import FOLDER, STEP, Recording

MANIFESTS = Path(__file__).parents[2] / "deploy" / "kubernetes" / "autoscaling"
# A minute a value. Two recorders tell the same; genesys is held by itself, then by a person, then probed, then well.
SERIES = {
    'revoker_queue_depth{queue="revocation.calls.genesys.routine",instance="recorder-1"}': "9000x6 _x3",
    'revoker_queue_depth{queue="revocation.calls.genesys.routine",instance="recorder-2"}': "9000x6 _x3",
    'revoker_queue_depth{queue="revocation.calls.genesys.urgent",instance="recorder-1"}': "10x6 _x3",
    'revoker_queue_depth{queue="revocation.calls.genesys-eu.routine",instance="recorder-1"}': "0x6 _x3",
    'revoker_queue_depth{queue="revocation.calls.wibmo_2.routine",instance="recorder-1"}': "500x6 _x3",
    'revoker_queue_depth{queue="revocation.intake",instance="recorder-1"}': "70000x6 _x3",
    'revoker_queue_depth{queue="revocation.intake.urgent",instance="recorder-1"}': "5x6 _x3",
    'revoker_queue_depth{queue="revocation.dead",instance="recorder-1"}': "4000x6 _x3",
    'revoker_breaker_state{provider="genesys",instance="worker-1"}': "0 2 3 1 0 0 0",
    'revoker_breaker_state{provider="genesys",instance="worker-2"}': "0 0 3 0 0 0 0",
    'revoker_breaker_state{provider="wibmo_2",instance="worker-1"}': "0 0 3 0 0 0 0",
    'revoker_oldest_unsettled_seconds{provider="genesys",instance="recorder-1"}': "600x6 _x3",
    'revoker_oldest_unsettled_seconds{provider="genesys-eu",instance="recorder-1"}': "7200x6 _x3",  # none waits
    'revoker_oldest_unsettled_seconds{provider="wibmo_2",instance="recorder-1"}': "30x6 _x3",
}
MADE_UP = [{"series": name, "values": values} for name, values in SERIES.items()]
WANTED: dict[tuple[str, str], dict[int, float | None]] = {
    ("worker", "backlog"): {0: 9510, 1: 500, 2: 0, 3: 500, 4: 9510, 20: None},
    ("worker", "exposure"): {0: 600, 1: 30, 2: 0, 3: 30, 4: 600, 20: None},
    ("intake", "backlog"): {0: 70_005, 2: 70_005, 20: None},
}


def query_of(scaler: str, trigger: str) -> str:
    """The query of a trigger, as the manifest has it."""
    triggers = yaml.safe_load((MANIFESTS / f"{scaler}.yaml").read_text())["spec"]["triggers"]
    [query] = [each["metadata"]["query"] for each in triggers if each["name"] == trigger]
    return str(query)


def expected(query: str, seconds: int, value: float | None) -> dict[str, Any]:
    """What promtool is to see: one number without labels, or nothing at all."""
    samples = [] if value is None else [{"labels": "{}", "value": value}]
    return {"expr": query, "eval_time": f"{seconds}s", "exp_samples": samples}


def promtool(folder: Path, tests: list[dict[str, Any]], series: Sequence[Mapping[str, str]], step: int = 60) -> str:
    """What promtool says of *tests* on *series*, whose values are *step* seconds apart; fails where it is missing."""
    group = {"interval": f"{step}s", "input_series": list(series), "promql_expr_test": tests}
    file = folder / "tests.yaml"
    file.write_text(yaml.safe_dump({"rule_files": [], "evaluation_interval": f"{step}s", "tests": [group]}))
    done = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_calls_that_can_be_made_start_workers_and_calls_behind_a_hold_start_none(tmp_path: Path) -> None:
    """Whoever holds the provider, and while it is probed. Where nobody tells of the queues there is no number."""
    wanted = [(query_of(*trigger), values) for trigger, values in WANTED.items()]
    tests = [expected(query, 60 * minute, value) for query, values in wanted for minute, value in values.items()]
    assert "SUCCESS" in promtool(tmp_path, tests, MADE_UP)


@pytest.mark.parametrize("trigger", ["backlog", "exposure"])
def test_a_query_that_forgets_holds_is_found(tmp_path: Path, trigger: str) -> None:
    """The series would show it."""
    query = query_of("worker", trigger).replace("revoker_breaker_state", "no_such_metric")
    tests = [expected(query, 60 * minute, value) for minute, value in WANTED["worker", trigger].items()]
    assert "FAILED" in promtool(tmp_path, tests, MADE_UP)


def test_a_hold_as_it_was_recorded_starts_no_worker(tmp_path: Path) -> None:
    """A provider answered 503 to everything, and its calls waited behind the hold: real processes told of it."""
    recording = Recording.load(FOLDER / "RevokerProviderHeld.json")
    highest = f"max_over_time(({{}})[{recording.end}s:{STEP}s])"
    backlog, exposure = query_of("worker", "backlog"), query_of("worker", "exposure")
    tests = [expected(highest.format(each), recording.end, 0) for each in (backlog, exposure)]
    blind = backlog.replace("revoker_breaker_state", "no_such_metric")
    waiting = max(depth_of(recording, "revocation.calls.finbourne.routine"))
    assert waiting > 10
    tests.append(expected(highest.format(blind), recording.end, waiting))
    assert "SUCCESS" in promtool(tmp_path, tests, recording.stretched(), STEP)


def depth_of(recording: Recording, queue: str) -> list[float]:
    """What was told of a queue."""
    [values] = [each for name, each in recording.series.items() if "queue_depth" in name and f'"{queue}"' in name]
    return [float(word) for word in re.findall(r"(?<!\S)[\d.]+", values)]
