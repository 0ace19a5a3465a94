"""The settings of traces: off is off, and no key nor address with one is shown."""

import subprocess
import sys
from typing import Any

import pytest
from in_one_test import in_one_test
from log_lines import MARKER
from pydantic import SecretStr, ValidationError

from worker.settings.telemetry import TracingSettings

OFF = """
import sys
from types import SimpleNamespace
from worker.observability import tracing
from worker.settings.telemetry import TracingSettings
endpoint = sys.argv[1] or None
if endpoint:
    sys.modules["opentelemetry"] = None  # as where it is not installed
import worker.app, worker.recorder, worker.intake.intake
tracing.configure(SimpleNamespace(tracing=TracingSettings(endpoint=endpoint)), "worker")
print(tracing.spans(), sorted(name for name in sys.modules if name.startswith(("opentelemetry", "google.protobuf"))))
"""


def off(endpoint: str) -> subprocess.CompletedProcess[str]:
    """What a process says that may not, or cannot, import OpenTelemetry."""
    return subprocess.run(
        [sys.executable, "-c", OFF, endpoint], capture_output=True, text=True, timeout=60, check=False
    )


def test_without_the_setting_nothing_of_it_is_imported() -> None:
    """Not even where it is installed."""
    assert off("").stdout == "None []\n"


def test_the_setting_without_the_extra_is_refused_by_name() -> None:
    """It says what to install."""
    told = off("http://127.0.0.1:4318/v1/traces").stderr
    assert told.splitlines()[-1].endswith(
        "tracing.endpoint: needs the extra `otel`, which is not installed: pip install 'revoker[otel]'"
    )


@in_one_test
@pytest.mark.parametrize(
    ("document", "fault"),
    [
        ({"endpoint": f"http://user:{MARKER}@collector/v1/traces"}, "endpoint"),
        ({"endpoint": f"http://collector/v1/traces?key={MARKER}"}, "endpoint"),
        ({"endpoint": "collector:4318"}, "endpoint"),
        ({"endpoint": "http://collector:0/"}, "endpoint"),
        (
            {"endpoint": "http://collector/v1/traces", "header_secrets": {"x-key": MARKER}},
            "header_secrets: need an endpoint",
        ),
        ({"endpoint": "https://collector/v1/traces", "header_secrets": {"x key": MARKER}}, "header_secrets"),
        (
            {"endpoint": "https://collector/v1/traces", "header_secrets": {"x-key": f"{MARKER}\r\nx: y"}},
            "header_secrets.x-key",
        ),
        ({"sample_ratio": 1.1}, "sample_ratio"),
    ],
)
def test_a_bad_endpoint_is_refused_without_its_value(document: dict[str, Any], fault: str) -> None:
    """A key goes encrypted, or to this machine."""
    with pytest.raises(ValidationError) as refused:
        TracingSettings.model_validate(document)
    told = str(refused.value)
    assert fault in told.replace("\n", ".")
    assert MARKER not in told


def test_a_key_for_the_collector_is_shown_nowhere() -> None:
    """It is a secret as any other."""
    settings = TracingSettings.model_validate(
        {"endpoint": "https://collector/v1/traces", "header_secrets": {"authorization": f"Api-Token {MARKER}"}}
    )
    assert isinstance(settings.header_secrets["authorization"], SecretStr)
    assert MARKER not in repr(settings)
