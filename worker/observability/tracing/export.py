"""How spans leave: sampled, in batches, in a thread, over OTLP. What is away is said once."""

from __future__ import annotations

import atexit
import logging
import os
import socket
import ssl
import threading
from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, Sampler, SamplingResult, TraceIdRatioBased

from worker.observability.tracing.names import SCHEMA_URL, Attribute
from worker.observability.tracing.tracer import Spans

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Link, SpanKind, TraceState
    from opentelemetry.util.types import Attributes

    from worker.settings import Settings
    from worker.settings.telemetry import TracingSettings

logger = logging.getLogger(__name__)

EXPORT_TIMEOUT: Final = 10.0  # seconds for one batch, its repetitions included
SHUTDOWN_TIMEOUT: Final = 2.0  # seconds a process that ends waits for the collector to take what is left
QUEUE_SIZE: Final = 8192  # spans that wait for it; the others are lost
BATCH_SIZE: Final = 512  # spans
BATCH_INTERVAL: Final = 1000.0  # milliseconds


def spans(settings: Settings, process: str) -> Spans:
    """What makes the spans of *process*, whose exporter runs from now on, until the process ends."""
    provider = TracerProvider(
        ParentBased(_Root(settings.tracing.sample_ratio)), _resource(settings, process), shutdown_on_exit=False
    )
    exporter = SaidOnce(_exporter(settings.tracing))
    provider.add_span_processor(
        BatchSpanProcessor(exporter, QUEUE_SIZE, BATCH_INTERVAL, BATCH_SIZE, EXPORT_TIMEOUT * 1000)
    )
    atexit.register(_close, provider)
    is_embedded = settings.broker_url.get_secret_value().startswith("embedded:")
    tracer = provider.get_tracer("revoker", version("revoker"), SCHEMA_URL)
    return Spans(tracer, "embedded" if is_embedded else "rabbitmq")


class SaidOnce(SpanExporter):
    """Exports through *exporter*; logs once that the collector takes nothing, and once that it takes spans again."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._is_away = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send *spans*, or lose them."""
        result = self._exporter.export(spans)
        is_away, self._is_away = self._is_away, result is not SpanExportResult.SUCCESS
        if self._is_away and not is_away:
            logger.warning("traces.not_taken", extra={"setting": "tracing.endpoint"})
        if is_away and not self._is_away:
            logger.warning("traces.taken_again")
        return result

    def shutdown(self) -> None:
        """Send no more."""
        self._exporter.shutdown()


class _Root(Sampler):
    """Decides about a trace that begins here: as about the one that it is linked with, else by its share."""

    def __init__(self, ratio: float) -> None:
        self._ratio = TraceIdRatioBased(ratio)

    def should_sample(  # noqa: PLR0913, PLR0917 - OpenTelemetry's signature
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Whether the trace is recorded."""
        if links:
            is_recorded = any(link.context.trace_flags.sampled for link in links)
            return SamplingResult(Decision.RECORD_AND_SAMPLE if is_recorded else Decision.DROP, attributes)
        return self._ratio.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)

    def get_description(self) -> str:
        """The decision in a word."""
        return f"AsLinked{{{self._ratio.get_description()}}}"


def _exporter(settings: TracingSettings) -> SpanExporter:
    """Everything is named, or the environment would decide; the same for proxies and netrc."""
    session, tls = requests.Session(), settings.tls
    session.trust_env = False
    paths = ssl.get_default_verify_paths()
    authorities = str(tls.ca_file) if tls.ca_file else paths.cafile or paths.capath
    return OTLPSpanExporter(
        endpoint=settings.endpoint,
        certificate_file=authorities,
        client_certificate_file=str(tls.certificate_file) if tls.certificate_file else None,
        client_key_file=str(tls.key_file) if tls.key_file else None,
        headers={name: value.get_secret_value() for name, value in settings.header_secrets.items()},
        timeout=EXPORT_TIMEOUT,
        session=session,
    )


def _resource(settings: Settings, process: str) -> Resource:
    named = {
        Attribute.SERVICE_NAME: f"revoker-{process}",
        Attribute.SERVICE_NAMESPACE: "revoker",
        Attribute.SERVICE_VERSION: version("revoker"),
        Attribute.SERVICE_INSTANCE: f"{socket.gethostname()}:{os.getpid()}",
        Attribute.ENVIRONMENT: settings.environment,
    }
    return Resource({name.value: value for name, value in named.items()}, SCHEMA_URL)


def _close(provider: TracerProvider) -> None:
    """Send what is left, for SHUTDOWN_TIMEOUT at most: OpenTelemetry itself would wait half a minute."""
    closing = threading.Thread(target=provider.shutdown, name="traces", daemon=True)
    closing.start()
    closing.join(SHUTDOWN_TIMEOUT)
