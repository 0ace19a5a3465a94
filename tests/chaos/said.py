"""What a worker said of its calls and holds, from its log."""

import json
from typing import Any

from servers import Daemon, wait_until

HOLD = '"provider.held"'


def attempts(log: str, provider: str = "", reason: str = "") -> list[dict[str, Any]]:
    """Its provider calls in order: of one provider, or those that failed for one reason."""
    lines = [line for line in log.splitlines() if '"revocation.attempted"' in line and line.endswith("}")]
    said = [json.loads(line) for line in lines if provider in line and reason in line]
    return [each for each in said if provider in ("", each["provider"]) and reason in ("", each["reason"])]


def holds(log: str) -> list[dict[str, Any]]:
    """The alerts: a line for each hold that was opened."""
    return [json.loads(line) for line in log.splitlines() if HOLD in line and line.endswith("}")]


def wait_failed(worker: Daemon, provider: str, reason: str, times: int = 1) -> None:
    """Wait until so many more calls have failed for that reason."""
    wanted = len(attempts(worker.output, provider, reason)) + times
    wait_until(
        lambda: len(attempts(worker.output, provider, reason)) >= wanted, 40, f"{provider} to fail with {reason}"
    )
