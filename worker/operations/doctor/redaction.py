"""The canary: a token that is planted where none may come through, in a log line and in an error report."""

import json
import logging
import secrets
from collections.abc import Iterator, Mapping
from typing import Any

from worker.observability import sentry
from worker.observability.lines import HumanLines, JsonLines
from worker.operations.doctor.findings import Finding


def examine_logs() -> Iterator[Finding]:
    """Whether a line, for machines or for people, shows the token of a record or of an exception, ours or not."""
    canary = _canary()
    lines = [form.format(record) for form in (JsonLines(), HumanLines()) for record in _records(canary)]
    if any("log.unrenderable" in line for line in lines):
        yield Finding("redaction.logs", "failed", "a line is not written at all")
    else:
        yield _finding("redaction.logs", canary, lines)


def examine_reports() -> Iterator[Finding]:
    """Whether a report to Sentry shows the token of an exception, of a request, of a frame, or of a record."""
    canary = _canary()
    hints: list[Mapping[str, Any]] = [{}, *({"log_record": record} for record in _records(canary))]
    reports = [sentry.before_send(_report(canary), hint) for hint in hints]
    if None in reports:
        yield Finding("redaction.reports", "failed", "a report is not sent at all")
    else:
        yield _finding("redaction.reports", canary, [json.dumps(report, default=str) for report in reports])


def _finding(check: str, canary: str, texts: list[str]) -> Finding:
    if shown := sum(canary in text for text in texts):
        return Finding(check, "failed", f"the token was shown by {shown} of {len(texts)} texts")
    return Finding(check, "ok", f"the token was masked in {len(texts)} texts")


def _canary() -> str:
    """A token of a form that no pattern knows by itself."""
    return f"canary{secrets.token_hex(16)}"


def _records(canary: str) -> list[logging.LogRecord]:
    places = {
        "token": canary,
        "nested": {"client_secret": [canary]},
        "header": f"Authorization: Bearer {canary}",
        "url": f"amqp://user:{canary}@host/",
        "assigned": f"password={canary}",
    }
    fault = ValueError(canary)
    ours, theirs = logging.getLogger(__name__), logging.getLogger("kombu")
    return [
        ours.makeRecord(ours.name, logging.ERROR, __file__, 0, "doctor.canary", (), None, extra=places),
        ours.makeRecord(ours.name, logging.ERROR, __file__, 0, "doctor.canary", (), (ValueError, fault, None)),
        theirs.makeRecord(theirs.name, logging.ERROR, __file__, 0, "body: %r", (canary,), None),
    ]


def _report(canary: str) -> dict[str, Any]:
    frame = {"function": "call", "vars": {"bearer": canary}, "context_line": canary}
    return {
        "event_id": "0" * 32,
        "message": canary,
        "exception": {"values": [{"type": "ValueError", "value": canary, "stacktrace": {"frames": [frame]}}]},
        "request": {"headers": {"Authorization": f"Bearer {canary}"}, "data": canary},
        "breadcrumbs": {"values": [{"message": canary}]},
        "extra": {"sys.argv": ["revoker", canary], "celery-job": {"args": [canary]}},
    }
