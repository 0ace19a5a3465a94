"""What alembic runs for every command: the migrations, on the connection and in the transaction of the caller."""

from alembic import context

from worker.database.revisions import VERSION_TABLE
from worker.database.tables import metadata

# SQLite's DDL is transactional too (https://www.sqlite.org/lang_transaction.html); alembic has to be told.
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    version_table=VERSION_TABLE,
)
context.run_migrations()
