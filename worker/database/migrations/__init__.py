"""The ledger's schema, step by step: alembic revisions, applied by `Ledger.upgrade()`."""
