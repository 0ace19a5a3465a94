"""The ledger: reached, of which schema, by which clock."""

from collections.abc import Iterator
from datetime import UTC, datetime

from worker.database.revisions import known_revisions
from worker.database.schema import Schema, schema_at
from worker.ledger import LedgerUnavailable
from worker.operations.doctor.clocks import skew_finding
from worker.operations.doctor.findings import Finding
from worker.operations.doctor.places import ledger_file, unwritable
from worker.settings import Settings
from worker.settings.urls import masked_url


def examine(settings: Settings) -> Iterator[Finding]:
    """The findings about the ledger that *settings* name."""
    url, before = settings.ledger_url.get_secret_value(), datetime.now(UTC)
    try:
        schema = schema_at(url)
    except LedgerUnavailable as error:
        yield Finding("ledger.connection", "failed", str(error))
        return
    after, file = datetime.now(UTC), ledger_file(settings)
    if fault := file and unwritable(file):
        yield Finding("ledger.connection", "failed", fault)
    else:
        yield Finding("ledger.connection", "ok", masked_url(url))
    yield _schema(schema)
    if schema.now:
        yield skew_finding("ledger.clock", schema.now, (before, after))


def _schema(schema: Schema) -> Finding:
    known = known_revisions()
    if schema.revision == known[-1]:
        return Finding("ledger.schema", "ok", f"revision {schema.revision}")
    if schema.revision is None:
        return Finding("ledger.schema", "failed", "there is none: it was never migrated")
    if schema.revision in known:
        return Finding("ledger.schema", "failed", f"behind: revision {schema.revision}, this release has {known[-1]}")
    detail = f"ahead: revision {schema.revision}, this release has {known[-1]}"
    return Finding("ledger.schema", "failed", detail, "upgrade what runs here: it is of an older release")
