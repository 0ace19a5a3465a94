"""What is particular to each directory server: who an entry is, what changes it, and what disables a person."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

Attributes = Mapping[str, Sequence[bytes]]  # names in small letters

ACCOUNTDISABLE: Final = 0x2  # of userAccountControl (MS-ADTS section 2.2.16)
# pwdAccountLockedTime of an administrator's lock (draft-behera-ldap-password-policy section 5.3.3).
LOCKED_FOR_GOOD: Final = "000001010000Z"
_GUID: Final = 16  # bytes
_TIME: Final = re.compile(r"([0-9]{14})(?:\.([0-9]*))?Z(?:#.*)?")  # RFC 4517 section 3.3.13; a CSN goes on behind


@dataclass(frozen=True, slots=True)
class Server:
    """One kind of server."""

    people: str  # filter
    user_names: tuple[str, ...]  # attributes: the first that somebody has is their name
    person_id: str  # attribute that is an entry's as long as it lives
    lock: str  # attribute
    marker: str  # attribute that every change of an entry changes
    changed: str  # attribute: when it was changed
    moved: str  # attribute by which changes are asked for, which only grows
    id_of: Callable[[bytes], str]  # its value → 32 hex digits, or something else where it is no id
    id_in_filter: Callable[[str], str]
    is_locked: Callable[[str | None], bool | None]  # None: cannot be told
    has_syncrepl: bool = True

    @property
    def attributes(self) -> tuple[str, ...]:
        """Return those that are asked for."""
        return tuple(dict.fromkeys((self.person_id, self.lock, self.marker, self.changed, self.moved)))


def first(attributes: Attributes, name: str) -> str | None:
    """Return the first value of the attribute *name* as text; None where it is missing, or no UTF-8."""
    values = attributes.get(name.lower())
    try:
        return values[0].decode() if values else None
    except UnicodeDecodeError:
        return None


def time_of(text: str | None) -> datetime | None:
    """Return the time of a GeneralizedTime or a CSN, both of UTC; None where *text* is none, as a USN of any length."""
    found = _TIME.fullmatch(text or "")
    if found is None:
        return None
    seconds, fraction = found.groups(default="")
    try:
        return datetime.strptime(f"{seconds}{fraction:0<6.6}", "%Y%m%d%H%M%S%f").replace(tzinfo=UTC)
    except ValueError:
        return None


def _locked_for_good(value: str | None) -> bool:
    """A lock of too many wrong passwords, which has a time, is nobody's decision: whoever guesses makes one."""
    return value == LOCKED_FOR_GOOD


def _is_true(value: str | None) -> bool:
    return (value or "").strip().lower() == "true"


def _is_disabled_account(value: str | None) -> bool | None:
    try:
        return bool(int(value) & ACCOUNTDISABLE) if value is not None else None
    except ValueError:
        return None


def _plain_hex(value: bytes) -> str:
    return value.decode("ascii", "replace").replace("-", "").lower()


def _of_guid(value: bytes) -> str:
    return UUID(bytes_le=value).hex if len(value) == _GUID else ""


def _in_four(person_id: str) -> str:
    return "-".join(person_id[at : at + 8] for at in range(0, 32, 8))


def _escaped(person_id: str) -> str:
    return "".join(f"\\{each:02x}" for each in UUID(person_id).bytes_le)


SERVERS: Final[Mapping[str, Server]] = {
    "openldap": Server(
        people="(objectClass=inetOrgPerson)",
        user_names=("uid",),
        person_id="entryUUID",
        lock="pwdAccountLockedTime",
        marker="entryCSN",
        changed="entryCSN",
        moved="modifyTimestamp",
        id_of=_plain_hex,
        id_in_filter=lambda person_id: str(UUID(person_id)),
        is_locked=_locked_for_good,
    ),
    "389-ds": Server(
        people="(objectClass=inetOrgPerson)",
        user_names=("uid",),
        person_id="nsUniqueId",
        lock="nsAccountLock",
        marker="modifyTimestamp",
        changed="modifyTimestamp",
        moved="modifyTimestamp",
        id_of=_plain_hex,
        id_in_filter=_in_four,
        is_locked=_is_true,
    ),
    "active-directory": Server(
        people="(&(objectCategory=person)(objectClass=user))",
        user_names=("userPrincipalName", "sAMAccountName"),
        person_id="objectGUID",
        lock="userAccountControl",
        marker="uSNChanged",
        changed="whenChanged",
        moved="uSNChanged",
        id_of=_of_guid,
        id_in_filter=_escaped,
        is_locked=_is_disabled_account,
        has_syncrepl=False,
    ),
}
