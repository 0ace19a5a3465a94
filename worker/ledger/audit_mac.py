"""What proves the audit: the MAC of each entry, and the seal of the ends of the chain."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import Connection, select

from worker.database.engine import Database
from worker.database.tables import audit_ends

_MAC: Final = "audit_mac"  # the execution option of an engine that holds its key


@dataclass(frozen=True, slots=True)
class Ends:
    """Where the chain begins and ends."""

    forgotten: int = 0  # number of the newest entry that was forgotten by its age
    last: int = 0
    last_mac: str = ""


class AuditMac:
    """Makes the MACs of the audit. Processes with the same *secret* make the same."""

    def __init__(self, secret: bytes) -> None:
        self._key = HKDF(SHA256(), 32, salt=None, info=b"revoker: chain of the audit").derive(secret)

    def of_entry(self, covered: Sequence[object]) -> str:
        """The MAC of an entry with these values of COVERED."""
        return self._over(("entry", *covered))

    def of_ends(self, ends: Ends) -> str:
        """The seal of *ends*."""
        return self._over(("ends", ends.forgotten, ends.last, ends.last_mac))

    def _over(self, parts: Sequence[object]) -> str:
        """Over the text of each part behind its length: no two sequences of parts are written alike."""
        texts = (str(part).encode(errors="surrogatepass") for part in parts)
        return hmac.digest(self._key, b"".join(len(text).to_bytes(8) + text for text in texts), "sha256").hex()


_OF_NOBODY: Final = AuditMac(b"")  # of a ledger that was opened without a secret: a chain that anybody can forge


def signing(database: Database, mac: AuditMac) -> Database:
    """Return *database* whose audit is signed with *mac*."""
    return replace(database, engine=database.engine.execution_options(**{_MAC: mac}))


def mac_of(connection: Connection) -> AuditMac:
    """What signs the audit of the database that *connection* leads to."""
    mac: AuditMac = connection.get_execution_options().get(_MAC, _OF_NOBODY)
    return mac


def stored_ends(connection: Connection) -> tuple[Ends, bool] | None:
    """Return the ends of the chain, and whether their seal is right; None before it began."""
    columns = audit_ends.c
    found = connection.execute(select(columns.forgotten, columns.last, columns.last_mac, columns.seal)).first()
    if found is None:
        return None
    ends = Ends(*found[:3])
    return ends, found.seal == mac_of(connection).of_ends(ends)
