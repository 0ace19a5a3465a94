"""Authorisation: whether the source of an event is known, and may say what it says."""

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import Final, Self

from tasks.events import EVENT_TYPES, Event, PersonData, UserData
from tasks.subject_index import issuers, tenants
from worker import broker
from worker.broker import messages
from worker.broker.provenance import Provenance
from worker.intake.signing import KeyFile, SigningKeyError, is_signed
from worker.settings import Settings, SettingsError
from worker.settings.sections import SourceSettings

logger = logging.getLogger(__name__)

Violation = tuple["Rule", str]  # and the place in the event, as an RFC 6901 pointer

ALERT_INTERVAL: Final = 60.0  # seconds after an alert until the next one of the same source and rule
# Users of these doors can write provider calls as well, so the door is proof enough. An event that came in by another
# door needs the proofs of its source.
PROVING_DOORS: Final = frozenset({messages.CELERY_DOOR, messages.DESK_DOOR})


class Rule(StrEnum):
    """What a refused event violates, in the order of the checks."""

    VOUCHER = "voucher"
    NOT_LISTED = "not_listed"
    DOOR = "door"
    USER = "user"
    BINARY_MODE = "binary_mode"
    SIGNATURE = "signature"
    TYPE = "type"
    PROVIDER = "provider"
    TENANT = "tenant"
    ISSUER = "issuer"


@dataclass(frozen=True, slots=True)
class Denied:
    """An event that is not let in, and why: a rule of a source of the settings, a place in the event, no value."""

    rule: Rule
    pointer: str
    listed_as: str | None  # the source's name in the settings
    event: Event


@dataclass(frozen=True, slots=True)
class Granted:
    """An event that is let in, and the provider instances that it reaches: all of them where none is named."""

    providers: frozenset[str] = frozenset()


class AlertThrottle:
    """One error a minute, which goes to Sentry, of each listed source and rule, however many events are refused."""

    def __init__(self, interval: float = ALERT_INTERVAL) -> None:
        self._interval = interval
        self._alerted: dict[tuple[str | None, Rule], float] = {}  # as many as the settings have sources, times rules

    def report(self, denied: Denied) -> None:
        """Alert, unless there was an alert of this kind a moment ago."""
        kind, now = (denied.listed_as, denied.rule), time.monotonic()
        if now - self._alerted.get(kind, -self._interval) >= self._interval:
            self._alerted[kind] = now
            about = {"reason": denied.rule.value, "listed_as": denied.listed_as, "pointer": denied.pointer}
            logger.error("event.access_denied", extra=about)


class Authorizer:
    """Authorises events by the source map. It has no memory: the same event has the same answer, replayed or not.

    Where the broker does not compare `user_id` with who is connected (embedded), no user is believed, and a source
    that is not listed is let in: whoever may write the broker's file could as well write a provider call. What takes
    revocations back is let in of a listed source alone, whose `types` name it.
    """

    def __init__(self, sources: Mapping[str, SourceSettings], *, proves_users: bool) -> None:
        """*sources* by name. Raises SettingsError for keys that cannot be read."""
        self._sources = {each.source: (name, each) for name, each in sources.items()}
        self._keys = {each.source: _key_file(name, each.keys) for name, each in sources.items() if each.keys}
        self._proves_users = proves_users

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """That of an installation. Raises SettingsError."""
        return cls(settings.sources, proves_users=not broker.is_embedded(settings.broker_url.get_secret_value()))

    def authorize(self, event: Event, provenance: Provenance) -> Granted | Denied:
        """Whether *event* is let in on *provenance*; never on an expired voucher, whose dead letter keeps it."""
        name, source = self._sources.get(event.source, (None, None))
        if provenance.voucher_expired:
            return Denied(Rule.VOUCHER, "", name, event)
        if source is None:
            is_let_in = revokes(event) and (provenance.door in PROVING_DOORS or not self._proves_users)
            return Granted() if is_let_in else Denied(Rule.NOT_LISTED, "/source", None, event)
        proofs = () if source.trusted or provenance.door in PROVING_DOORS else self._unproved(source, provenance)
        violation = next(chain(proofs, _beyond(source, event, provenance)), None)
        return Denied(*violation, name, event) if violation else Granted(source.providers)

    def listed_as(self, source: str | None) -> str | None:
        """The name in the settings of the source that an event names; None where it is not listed."""
        name, _ = self._sources.get(source or "", (None, None))
        return name

    def proves(self, source: str | None, provenance: Provenance) -> bool:
        """Whether *provenance* proves a listed *source*, whatever the event asks for."""
        _, known = self._sources.get(source or "", (None, None))
        if provenance.door in PROVING_DOORS or (known is not None and known.trusted):
            return True
        return known is not None and next(self._unproved(known, provenance), None) is None

    def _unproved(self, source: SourceSettings, provenance: Provenance) -> Iterator[Violation]:
        """A door of the source proved who sent the event; one that came in otherwise needs the source's own proofs."""
        if provenance.door in {messages.door(name) for name in source.doors}:
            return
        if not (source.users or source.keys):
            yield Rule.DOOR, "/source"
        if source.users and not (self._proves_users and provenance.user in source.users):
            yield Rule.USER, "/source"
        if source.keys and provenance.is_binary:
            yield Rule.BINARY_MODE, ""
        if source.keys and not is_signed(provenance.body, provenance.signature, self._keys[source.source].keys()):
            yield Rule.SIGNATURE, ""


def revokes(event: Event) -> bool:
    """Whether *event* asks for calls. One that takes them back is let in by its type's name only, through every door.

    Whoever says it wrongly keeps an intruder logged in: a grant that nobody may have by leaving a limit out.
    """
    return EVENT_TYPES[event.type].revokes


def _beyond(source: SourceSettings, event: Event, provenance: Provenance) -> Iterator[Violation]:
    if (source.types or not revokes(event)) and event.type not in source.types:
        yield Rule.TYPE, "/type"
    for provider, pointer in (*_named(event), (provenance.only_provider, "")):
        if source.providers and provider and provider not in source.providers:
            yield Rule.PROVIDER, pointer
    if source.tenants and not _within(tenants(event), source.tenants):
        yield Rule.TENANT, "/data/sub_id"
    if source.issuers and not _within(issuers(event), source.issuers):
        yield Rule.ISSUER, "/data/sub_id"


def _named(event: Event) -> Iterator[tuple[str, str]]:
    """The provider instances that *event* names, each with its place."""
    for i, session in enumerate(event.data.sessions):
        yield session.provider, f"/data/sessions/{i}/provider"
    if isinstance(event.data, PersonData):
        yield from ((name, f"/data/accounts/{name}") for name in event.data.accounts)
    if isinstance(event.data, UserData):
        yield from ((name, f"/data/providers/{i}") for i, name in enumerate(event.data.providers))


def _within(named: frozenset[str], allowed: frozenset[str]) -> bool:
    """An event that names nobody does not get round the limit."""
    return bool(named) and named <= allowed


def _key_file(name: str, path: Path) -> KeyFile:
    try:
        return KeyFile(path)
    except SigningKeyError as error:
        raise SettingsError(f"sources.{name}.keys: {error}") from None
    except OSError as error:
        raise SettingsError(f"sources.{name}.keys: {path}: {error.strerror}") from None
