"""Who an event is about: a masked form for people, keyed hashes for looking up. Never the identifier itself."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tasks.events import Aliases, Complex, Did, Email, IssSub, Opaque, PhoneNumber, Uri, UserDisabled

if TYPE_CHECKING:
    from tasks.events import SessionEnded, SimpleSubject


def mask(value: str) -> str:
    """*value* as people may see it: the first two characters and the last, e.g. `al…m`; short ones show one."""
    short = 6
    if len(value) <= short:
        return f"{value[:1]}…"
    if "@" in value:
        local, _, domain = value.partition("@")
        return f"{local[:2]}…@{domain}" if len(local) > len("ab") else f"{local[:1]}…@{domain}"
    return f"{value[:2]}…{value[-2:]}"


@dataclass(frozen=True, slots=True)
class SubjectIndex:
    """Turns an identifier into the keyed hash under which the ledger knows it."""

    key: bytes = field(repr=False)

    def lookup(self, identifier: str) -> str:
        """32 hex digits of HMAC-SHA256 over the identifier, trimmed and case-folded (addresses arrive in any case)."""
        return hmac.digest(self.key, identifier.strip().casefold().encode(), "sha256").hex()[:32]

    def keys(self, event: SessionEnded | UserDisabled) -> tuple[str, ...]:
        """The hashes of every name the event gives the person."""
        return tuple(self.lookup(name) for name in identifiers(event))


def masked_subject(event: SessionEnded | UserDisabled) -> str:
    """The person's main name, masked; `-` where the event names nobody."""
    names = identifiers(event)
    return mask(names[0]) if names else "-"


def identifiers(event: SessionEnded | UserDisabled) -> tuple[str, ...]:
    """Every name the event gives the person: what an operator may type to find them. The first is the main one."""
    names = [_name(each) for each in _simple_subjects(event)]
    accounts = [account.user_id for account in event.data.accounts.values()] if isinstance(event, UserDisabled) else []
    return tuple(dict.fromkeys([*names, *accounts, *([event.subject] if event.subject else [])]))


def issued_subjects(event: UserDisabled) -> tuple[IssSub, ...]:
    """The `iss_sub` identifiers of the subject itself or of its aliases (RFC 9493, sections 3.2.4 and 3.2.8).

    Those inside a complex subject are left out: they may name a device or a tenant.
    """
    if isinstance(event.data.sub_id, Complex):
        return ()
    return tuple(each for each in _simple_subjects(event) if isinstance(each, IssSub))


def issuers(event: SessionEnded | UserDisabled) -> frozenset[str]:
    """Every issuer by whose name for them the event names somebody."""
    return frozenset(each.iss for each in _simple_subjects(event) if isinstance(each, IssSub))


def tenants(event: SessionEnded | UserDisabled) -> frozenset[str]:
    """The tenant of a complex subject (Shared Signals Framework 1.0, section 3.2), if any."""
    match event.data.sub_id:
        case Complex(members={"tenant": tenant}):
            return frozenset({_name(tenant)})
    return frozenset()


def _simple_subjects(event: SessionEnded | UserDisabled) -> tuple[SimpleSubject, ...]:
    match event.data.sub_id:
        case None:
            return ()
        case Aliases(identifiers=several):
            return several
        case Complex() as several_parts:
            return tuple(several_parts.members.values())
        case one:
            return (one,)


def _name(subject: SimpleSubject) -> str:
    match subject:
        case IssSub(sub=name) | Email(email=name) | Opaque(id=name) | Uri(uri=name) | Did(url=name):
            return name
        case PhoneNumber(phone_number=name):
            return name
