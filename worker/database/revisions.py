"""The revisions of the ledger's schema: those that this release knows, and one that it cannot know."""

from typing import TYPE_CHECKING, Final

from worker.database.errors import LedgerIsNewer

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection

MIGRATIONS: Final = "worker.database:migrations"  # a package resource: found wherever the package is installed
VERSION_TABLE: Final = "ledger_version"


def alembic_config() -> "Config":
    """What alembic must know of our migrations."""
    from alembic.config import Config  # noqa: PLC0415 - 10 MB that a worker, which never migrates, does without

    config = Config()
    config.set_main_option("script_location", MIGRATIONS)
    return config


def known_revisions() -> list[str]:
    """The revisions of the schema that this release knows, oldest first."""
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - likewise

    return [each.revision for each in ScriptDirectory.from_config(alembic_config()).walk_revisions()][::-1]


def require_known(connection: "Connection") -> None:
    """Raise LedgerIsNewer where the schema that *connection* leads to is of a revision that this release has not."""
    from alembic.migration import MigrationContext  # noqa: PLC0415 - likewise

    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    found, known = context.get_current_revision(), known_revisions()
    if found is not None and found not in known:
        raise LedgerIsNewer(
            f"the ledger's schema is of a newer release: revision {found}, where this one knows up to {known[-1]}; "
            "nothing was changed. Use the newer release for this"
        )
