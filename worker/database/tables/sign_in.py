"""The table of sign-ins at the console."""

from typing import Final

from sqlalchemy import BigInteger, Column, LargeBinary, Table

from worker.database.columns import UtcTime, Words
from worker.database.tables.base import metadata

# Who is signed in at the console. What a browser holds is not here, but its digest.
console_sessions: Final = Table(
    "console_sessions",
    metadata,
    Column("digest", LargeBinary, primary_key=True),  # SHA-256 of the secret in the cookie
    Column("session_id", Words, nullable=False),  # how operators name it: no secret
    Column("name", Words, nullable=False),
    Column("role", Words, nullable=False),
    Column("means", Words, nullable=False),  # password, oidc
    Column("address", Words, nullable=False),
    Column("known_as", Words, nullable=False),  # lookup hashes of the person's names, apart by spaces
    Column("idp_subject", Words),  # lookup hashes of `sub` and `sid` at the OpenID provider
    Column("idp_session", Words),
    Column("created", UtcTime, nullable=False),
    Column("seen", UtcTime, nullable=False),
    Column("change", BigInteger, nullable=False),  # the last one when it began: what comes after may end it
)
