"""The embedded broker: its file, and what stands in it."""

from collections.abc import Iterator
from pathlib import Path

from worker.broker.embedded.file import BrokerUnavailable
from worker.broker.embedded.inspection import parts_of
from worker.operations.doctor import topology
from worker.operations.doctor.findings import Finding
from worker.operations.doctor.places import broker_file, unwritable
from worker.settings import Settings


def examine(settings: Settings) -> Iterator[Finding]:
    """The findings about the file and the topology in it."""
    file = broker_file(settings) or Path()
    try:
        parts = parts_of(file, settings.providers)
    except BrokerUnavailable as error:
        yield Finding("broker.connection", "failed", f"{file}: {error}")
        return
    if fault := unwritable(file):
        yield Finding("broker.connection", "failed", fault)
    else:
        yield Finding("broker.connection", "ok", f"embedded, {file}")
    yield from topology.of_parts(parts)
