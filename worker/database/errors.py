"""Why the database cannot serve."""


class LedgerUnavailable(Exception):  # noqa: N818 - what is the case, as operators read it
    """The ledger cannot serve now: unreachable, locked, full, not migrated. One line, without a password."""


class LedgerIsNewer(Exception):  # noqa: N818 - likewise
    """The schema is of a newer release than this one, which has nothing to migrate, and can go on: migrations add."""


class LedgerRefused(Exception):  # noqa: N818 - likewise
    """The database will never take these rows, however often it is asked. One line that names no value."""
