"""promtool: what it is to find in a recording, what it found, and where the program is.

The test files are JSON, which is YAML (https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/).
"""

import json
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, Final

from servers import ServerMissingError

from chaos.alerts.recording import STEP, Recording
from chaos.alerts.rules import RULES, Alert

FIRING: Final = 'ALERTS{alertstate="firing"}'
_GOT: Final = re.compile(r"got: *\{(.*?)\} ([\d.E+-]+)")
_PAIR: Final = re.compile(r'(\w+)="(.*?)"')
_ADDED: Final = ("alertname", "alertstate", "severity")  # by Prometheus and by the rule

Test = Mapping[str, Any]


def promtool(*arguments: str | Path) -> CompletedProcess[str]:
    """Run promtool; what it says is on stdout. Raises ServerMissingError."""
    program = shutil.which("promtool")
    if program is None:
        raise ServerMissingError("promtool is not installed: run .ci/install-servers")
    command = [program, *map(str, arguments)]
    return subprocess.run(command, text=True, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def run(tests: Sequence[Test], folder: Path) -> CompletedProcess[str]:
    """Have promtool evaluate the rules on *tests*, from a file that it writes into *folder*."""
    file = folder / "promtool.json"
    file.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": _span(STEP), "tests": list(tests)}))
    return promtool("test", "rules", file)


def trial_of(recording: Recording, alerts: Mapping[str, Alert]) -> Test:
    """Exactly its alert fires, once, with these words, and is over before the end."""
    found = [_counted(recording.alert)] if recording.alert else []
    return {
        **_given(recording),
        "alert_rule_test": _told(recording, alerts) if recording.alert else [],
        "promql_expr_test": [
            _asked(recording, f"count by (alertname) (last_over_time({FIRING}[{_span(recording.end)}]))", found),
            _asked(recording, f"sum by (alertname) ({_beginnings(recording)})", found),
            _asked(recording, FIRING, []),
        ],
    }


def tried(recording: Recording, folder: Path) -> Recording:
    """*recording* with the labels of the alert that fires, when it begins and when it is over."""
    window = f"[{_span(recording.end)}:{_span(STEP)}]"
    first = _found(recording, f"min_over_time(timestamp({FIRING}){window})", folder)
    last = _found(recording, f"max_over_time(timestamp({FIRING}){window})", folder)
    if not first:
        return recording
    labels = {name: value for name, value in _PAIR.findall(first[0][0]) if name not in _ADDED}
    return replace(recording, labels=labels, fires=round(float(first[0][1])), resolved=round(float(last[0][1])) + STEP)


def _found(recording: Recording, expr: str, folder: Path) -> list[tuple[str, str]]:
    """What *expr* comes to, labels and value: promtool only tells of what it did not expect."""
    return _GOT.findall(run([{**_given(recording), "promql_expr_test": [_asked(recording, expr, [])]}], folder).stdout)


def _given(recording: Recording) -> Test:
    name = recording.alert or "nothing is wrong"
    return {"name": name, "interval": _span(STEP), "input_series": recording.stretched()}


def _told(recording: Recording, alerts: Mapping[str, Alert]) -> list[Test]:
    """What somebody is told at the first moment, and nothing a step before."""
    alert = alerts[recording.alert]
    told = {
        "exp_labels": {**recording.labels, "severity": alert.severity},
        "exp_annotations": alert.annotated(recording.labels),
    }
    at = {"alertname": alert.name}
    return [
        {**at, "eval_time": _span(recording.fires - STEP), "exp_alerts": []},
        {**at, "eval_time": _span(recording.fires), "exp_alerts": [told]},
        {**at, "eval_time": _span(recording.resolved), "exp_alerts": []},
    ]


def _beginnings(recording: Recording) -> str:
    """How often an alert began to fire."""
    began = f"{FIRING} unless {FIRING} offset {_span(STEP)}"
    return f"count_over_time(({began})[{_span(recording.end)}:{_span(STEP)}])"


def _counted(alert: str) -> Test:
    return {"labels": f'{{alertname="{alert}"}}', "value": 1}


def _asked(recording: Recording, expr: str, expected: Sequence[Test]) -> Test:
    return {"expr": expr, "eval_time": _span(recording.end), "exp_samples": list(expected)}


def _span(seconds: int) -> str:
    return f"{seconds}s"
