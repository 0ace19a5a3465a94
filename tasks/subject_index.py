"""The person an event is about: masked for people, keyed hashes to look up and to decide, never the name itself.

A name finds what may be meant; it decides nothing. What decides is what a call hits (`ProviderCall.target`), or every
name of the person together, each with its issuer.
"""

import hmac
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from tasks.call import Target
from tasks.events import Event, PersonData, SessionsData, StartedData
from tasks.events.subjects import Aliases, Complex, Did, Email, IssSub, Opaque, PhoneNumber, SimpleSubject, Uri
from tasks.names import address, composed, forms, mask, normalised

# Of the members of a complex subject this one names the person (Shared Signals Framework 1.0, section 3.2); `device`,
# `session`, `application`, `tenant`, `org_unit`, `group` and members of one's own name something else.
_THE_PERSON: Final = "user"


@dataclass(frozen=True, slots=True)
class Identifier:
    """A name in an event, as it stands there."""

    value: str
    scheme: tuple[str, ...]  # what kind of name it is, and by whose word: ("iss_sub", issuer), ("opaque", source)
    names_person: bool = True  # else a tenant, a device, the `subject` attribute: many people may share it


@dataclass(frozen=True, slots=True, order=True)
class IndexedName:
    """A name of a person, as two keyed hashes."""

    exact: str  # of the name with its kind and its issuer: what has the same is the same person's
    lookup: str  # by which operators find it, however they spell it


@dataclass(frozen=True, slots=True)
class SubjectIndex:
    """Turns names into the keyed hashes under which the ledger knows them: 32 hex digits of HMAC-SHA256 each."""

    key: bytes = field(repr=False)

    def lookup(self, name: str) -> str:
        """The hash by which *name* finds the people it names, however it is spelt."""
        return self._hash("person", normalised(name))

    def lookups(self, name: str) -> tuple[str, ...]:
        """Every hash by which *name* finds people: whichever form of it an event gave."""
        return tuple(dict.fromkeys(map(self.lookup, forms(name))))

    def label(self, name: str) -> str:
        """The hash by which *name* finds events that give it to a tenant, a device or any other than a person."""
        return self._hash("label", normalised(name))

    def everywhere(self, name: str) -> tuple[str, ...]:
        """Every hash by which something may be found by *name*."""
        return *self.lookups(name), self.label(name)

    def naming(self, event: Event) -> dict[str, Any]:
        """The fields by which every call and record of *event* names its person."""
        return {"subject": masked_subject(event), "subject_keys": self.keys(event), "person_key": self.person(event)}

    def keys(self, event: Event) -> tuple[str, ...]:
        """The hashes by which *event* is found."""
        found = (self.lookup(it.value) if it.names_person else self.label(it.value) for it in identifiers(event))
        return tuple(dict.fromkeys(found))

    def person(self, event: Event) -> str | None:
        """One hash of every name that `sub_id` gives the person, each with its issuer; None where it gives none.

        Two events have the same one where all names agree. Accounts are left out: they are what a call hits.
        """
        names = {(*it.scheme, _as_compared(it)) for it in _names_in_sub_id(event) if it.names_person}
        parts = [part for name in sorted(names) for part in (str(len(name)), *name)]
        return self._hash("names", *parts) if names else None

    def names(self, event: Event) -> tuple[IndexedName, ...]:
        """Every name that `sub_id` gives the person: whatever has one of them exactly is about the same person."""
        people = (it for it in _names_in_sub_id(event) if it.names_person)
        exact = ((*it.scheme, _as_compared(it)) for it in people)
        return tuple(dict.fromkeys(IndexedName(self._hash("name", *parts), self.lookup(parts[-1])) for parts in exact))

    def session(self, issuer: str, session_id: str) -> str:
        """The hash of a session's id, which has a meaning for its *issuer* alone."""
        return self._hash("session", issuer, session_id)

    def target(self, target: Target | None) -> str | None:
        """The hash of what a call hits."""
        return None if target is None else self._hash("target", *target)

    def _hash(self, *parts: str) -> str:
        """Each part goes with its length, so that no two lists of parts are hashed alike."""
        coded = [part.encode(errors="surrogatepass") for part in parts]
        content = b"".join([len(part).to_bytes(4, "big") + part for part in coded])
        return hmac.digest(self.key, content, "sha256").hex()[:32]


def masked_subject(event: Event) -> str:
    """Return the person's main name, masked; without one that of the tenant or device, else `-`."""
    names = sorted(identifiers(event), key=lambda each: not each.names_person)
    return mask(names[0].value) if names else "-"


def identifiers(event: Event) -> tuple[Identifier, ...]:
    """Every name in the event by which an operator may look for it: those in `sub_id` first, as they stand there."""
    accounts = event.data.accounts if isinstance(event.data, PersonData) else {}
    own = [Identifier(account.user_id, ("account", provider)) for provider, account in accounts.items()]
    label = [Identifier(event.subject, ("subject",), names_person=False)] if event.subject else []
    return tuple(dict.fromkeys([*_names_in_sub_id(event), *own, *label]))


def issued_subjects(event: Event) -> tuple[IssSub, ...]:
    """The `iss_sub` identifiers of the subject itself or of its aliases (RFC 9493, sections 3.2.4 and 3.2.8).

    Those inside a complex subject are left out: they may name a device or a tenant.
    """
    if isinstance(event.data.sub_id, Complex):
        return ()
    return tuple(each for _, each in _simple_subjects(event) if isinstance(each, IssSub))


def addresses(event: Event) -> tuple[str, ...]:
    """The e-mail addresses of the subject itself or of its aliases, as they stand there; none inside a complex one."""
    if isinstance(event.data.sub_id, Complex):
        return ()
    return tuple(each.email for _, each in _simple_subjects(event) if isinstance(each, Email))


def issuers(event: Event) -> frozenset[str]:
    """Every issuer by whose word the event names anything; none where it names the person by no issuer's."""
    named = [(part, each.iss) for part, each in _simple_subjects(event) if isinstance(each, IssSub)]
    names_person = any(part == _THE_PERSON for part, _ in named)
    data, of_sessions = event.data, frozenset[str]()
    if isinstance(data, SessionsData | StartedData) and data.session_issuer:
        of_sessions = frozenset({data.session_issuer})
    by_ids = isinstance(data, SessionsData) and data.session_ids and of_sessions
    return of_sessions.union(issuer for _, issuer in named) if names_person or by_ids else frozenset()


def tenants(event: Event) -> frozenset[str]:
    """The tenant of a complex subject (Shared Signals Framework 1.0, section 3.2), if any."""
    match event.data.sub_id:
        case Complex(members={"tenant": tenant}):
            return frozenset({_value(tenant)})
    return frozenset()


def _names_in_sub_id(event: Event) -> Iterator[Identifier]:
    for part, each in _simple_subjects(event):
        yield Identifier(_value(each), _scheme(each, event.source), names_person=part == _THE_PERSON)


def _as_compared(name: Identifier) -> str:
    """Return *name* in the form that decides: an address may be spelt otherwise, an id may tell cases apart."""
    return address(name.value) if name.scheme == ("email",) else composed(name.value)


def _scheme(subject: SimpleSubject, source: str) -> tuple[str, ...]:
    """An opaque id has a meaning for its source alone (RFC 9493, section 3.2.5)."""
    match subject:
        case IssSub(iss=issuer):
            return subject.format, issuer
        case Opaque():
            return subject.format, source
        case _:
            return (subject.format,)


def _simple_subjects(event: Event) -> Iterator[tuple[str, SimpleSubject]]:
    """Each identifier in `sub_id`, with the part of the subject that it names."""
    match event.data.sub_id:
        case None:
            return
        case Aliases(identifiers=several):
            yield from ((_THE_PERSON, each) for each in several)
        case Complex() as several_parts:
            yield from several_parts.members.items()
        case one:
            yield _THE_PERSON, one


def _value(subject: SimpleSubject) -> str:
    match subject:
        case IssSub(sub=name) | Email(email=name) | Opaque(id=name) | Uri(uri=name) | Did(url=name):
            return name
        case PhoneNumber(phone_number=name):
            return name
