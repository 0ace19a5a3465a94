"""Traces of events, calls, requests to providers and records, by OpenTelemetry, which the extra `otel` brings.

Without `tracing.endpoint` nothing of it is imported, and `spans` returns None.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from worker.settings import SettingsError

if TYPE_CHECKING:
    from worker.observability.tracing.tracer import Spans
    from worker.settings import Settings


class _Process:
    spans: ClassVar[Spans | None] = None


def configure(settings: Settings, process: str) -> None:
    """Send the spans of *process* to the configured endpoint, if there is one. Raises SettingsError.

    Sending happens in a thread of its own, with a bounded queue: a collector that is slow or away costs its spans, at
    the end of the process a moment, and nothing else.
    """
    if settings.tracing.endpoint is None:
        return
    try:
        from worker.observability.tracing import export  # noqa: PLC0415 - it imports the extra
    except ModuleNotFoundError:
        raise SettingsError(
            "tracing.endpoint: needs the extra `otel`, which is not installed: pip install 'revoker[otel]'"
        ) from None
    _Process.spans = export.spans(settings, process)


def spans() -> Spans | None:
    """What makes this process's spans; None where it makes none."""
    return _Process.spans
