"""Planning: the provider calls that an event becomes, the units that need none, and those that cannot be resolved."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from tasks.call import Lane, Operation, ProviderCall, call_id, fingerprint
from tasks.catalogue import Catalogue, Instance
from tasks.events import EVENT_TYPES, EnabledData, Event, PersonData, SessionsData, StartedData, UserData
from tasks.events.model import ReferenceCredential, Session
from tasks.instants import after, expiry_of
from tasks.outcome import Reason, State
from tasks.records import PlannedUnit
from tasks.registry import NOTHING_REGISTERED, Registered
from tasks.subject_index import addresses, issued_subjects

__all__ = ["Catalogue", "Instance", "Plan", "RefusedUnit", "plan_revocations"]


@dataclass(frozen=True, slots=True)
class RefusedUnit:
    """One provider's part of an event that cannot become calls: a dead letter, never silent."""

    provider: str
    reason: Reason


Step = ProviderCall | PlannedUnit | RefusedUnit


@dataclass(frozen=True, slots=True)
class Plan:
    """All that becomes of an event. Nothing in it has happened yet."""

    calls: tuple[ProviderCall, ...]
    units: tuple[PlannedUnit, ...]  # no_session_known, enabled
    refused: tuple[RefusedUnit, ...]
    naming: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)  # `SubjectIndex.naming`

    def only(self, *providers: str) -> "Plan":
        """The part of the plan that concerns *providers*: what a replayed unit asks for, or its source may reach."""
        return Plan(
            tuple(call for call in self.calls if call.provider in providers),
            tuple(unit for unit in self.units if unit.provider in providers),
            tuple(unit for unit in self.refused if unit.provider in providers),
            self.naming,
        )


def plan_revocations(
    event: Event,
    catalogue: Catalogue,
    planned_at: datetime | None = None,
    registered: Registered = NOTHING_REGISTERED,
) -> Plan:
    """Return the plan of *event*: pure, complete, the same for the same input; *planned_at* by our clock.

    An event about sessions becomes a call for each session, by the credential that the provider's kind takes, and never
    a call for a user. An event about a user becomes one call where the kind has one and the user's id is known; that
    call covers the listed sessions. Elsewhere the listed sessions become calls. Where there is nothing to go by, a
    provider that the event names is refused as `route.unresolvable`, any other gets a `no_session_known` unit.

    What is *registered* for the event is ended with it, each session by a call of its own. The start of a session
    becomes a call only where the session must not live.

    An event that enables a user becomes an `enabled` unit at each provider, and no call. Where the kind ends every
    session of a user and the user's id is known, the unit tells whose older calls need not be made.
    """
    planner = _Planner(event, catalogue, planned_at, registered)
    match event.data:
        case UserData() as data:
            steps = planner.user(data)
        case EnabledData() as data:
            steps = planner.enabled(data)
        case StartedData() as data:
            steps = planner.started(data)
        case data:
            steps = planner.ended(data)
    lost = [RefusedUnit(each, Reason.REGISTRY_UNREADABLE) for each in registered.unreadable]
    unique = {step if isinstance(step, RefusedUnit) else step.call_id: step for step in (*steps, *lost)}.values()
    return Plan(
        tuple(step for step in unique if isinstance(step, ProviderCall)),
        tuple(step for step in unique if isinstance(step, PlannedUnit)),
        tuple(step for step in unique if isinstance(step, RefusedUnit)),
        planner.naming,
    )


def _unit_of(session: Session) -> str:
    """Return what tells a session from the others of its event: the fingerprint of its credential."""
    return fingerprint(session.credential.model_dump_json())


def _credential(session: Session) -> dict[str, str]:
    """The members of a call that hold the session's credential; none for a reference, which nothing resolves yet."""
    return {} if isinstance(session.credential, ReferenceCredential) else session.credential.model_dump()


@dataclass(frozen=True)
class _Planner:
    event: Event
    catalogue: Catalogue
    planned_at: datetime | None
    registered: Registered

    def ended(self, data: SessionsData) -> Iterator[Step]:
        """What is ended by its id may have been at any provider that ends single sessions."""
        yield from self.sessions((*data.sessions, *self.registered.sessions))
        if not (data.sessions or self.registered.sessions or self.registered.unreadable):
            why = "ended before, credentials gone" if self.registered.was_ended else "not registered, or expired"
            ending = (each for _, each in sorted(self.catalogue.instances.items()) if each.kind.session)
            yield from (self._unit(each, State.NO_SESSION_KNOWN, reason=why) for each in ending)

    def started(self, data: StartedData) -> Iterator[Step]:
        """Sessions that nobody could end later are refused now."""
        known = self.registered
        for session, step in zip(data.sessions, self.sessions(data.sessions), strict=True):
            if isinstance(step, RefusedUnit) or session in known.sessions:
                yield step
            elif session in known.too_long:
                yield RefusedUnit(session.provider, Reason.REGISTRY_TOO_LONG)
            elif session in known.refused:
                yield RefusedUnit(session.provider, Reason.REGISTRY_FULL)

    def sessions(self, sessions: tuple[Session, ...]) -> Iterator[Step]:
        for session in sessions:
            instance = self.catalogue.instances.get(session.provider)
            if instance is None:
                yield RefusedUnit(session.provider, Reason.ROUTE_UNKNOWN_PROVIDER)
            else:
                yield self._session_call(instance, session)

    def user(self, data: UserData) -> Iterator[Step]:
        named = {*data.providers, *data.accounts}
        where = {session.provider for session in (*data.sessions, *self.registered.sessions)}
        for name in sorted({*self.catalogue.instances, *named, *where}):
            instance = self.catalogue.instances.get(name)
            if instance is None:
                yield RefusedUnit(name, Reason.ROUTE_UNKNOWN_PROVIDER)
            else:
                yield from self._user_at(instance, data, named=name in named)

    def _user_at(self, instance: Instance, data: UserData, *, named: bool) -> Iterator[Step]:
        sessions = tuple(session for session in data.sessions if session.provider == instance.name)
        known = self._registered_at(instance, sessions)
        user_id = self._user_id(instance, data)
        plan = instance.kind.user
        if plan and user_id and plan.is_user_id(user_id):
            call = self._call(instance, plan.operation, user_id, user_id=user_id)
            yield call.model_copy(update={"covers": self._covered(instance, sessions)})
            yield from self.sessions(known)
            return
        yield from self.sessions((*sessions, *known))
        if (plan and user_id) or (named and not (sessions or known)):
            yield RefusedUnit(instance.name, Reason.ROUTE_UNRESOLVABLE)
        elif not (sessions or known or instance.name in self.registered.unreadable):
            yield self._unit(instance, State.NO_SESSION_KNOWN)

    def _registered_at(self, instance: Instance, listed: tuple[Session, ...]) -> tuple[Session, ...]:
        """The registered sessions there that the event does not list as well."""
        credentials = [session.credential for session in listed]
        here = (session for session in self.registered.sessions if session.provider == instance.name)
        return tuple(session for session in here if session.credential not in credentials)

    def enabled(self, data: EnabledData) -> Iterator[Step]:
        """By the user's id alone, as the calls that need not be made: names could be somebody else's."""
        for name in sorted({*self.catalogue.instances, *data.accounts}):
            instance = self.catalogue.instances.get(name)
            yield self._enabled_at(instance, data) if instance else RefusedUnit(name, Reason.ROUTE_UNKNOWN_PROVIDER)

    def _enabled_at(self, instance: Instance, data: EnabledData) -> Step:
        plan, user_id = instance.kind.user, self._user_id(instance, data)
        if plan is None or not user_id:
            return self._unit(instance, State.ENABLED)
        if not plan.is_user_id(user_id):
            return RefusedUnit(instance.name, Reason.ROUTE_UNRESOLVABLE)
        call = self._call(instance, plan.operation, user_id, user_id=user_id)
        return self._unit(instance, State.ENABLED, call.target_key)

    def _unit(
        self, instance: Instance, state: State, target_key: str | None = None, reason: str | None = None
    ) -> PlannedUnit:
        identity = call_id(self.event.source, self.event.id, instance.name, "", "")
        told = {"state": state, "target_key": target_key, "reason": reason}
        return PlannedUnit(call_id=identity, provider=instance.name, operation=None, **told)

    def _user_id(self, instance: Instance, data: PersonData) -> str | None:
        """The account's id where the event gives it, else the `sub` of the instance's own issuer; never a guess."""
        account = data.accounts.get(instance.name)
        if account is not None:
            return account.user_id
        if instance.kind.user and instance.kind.user.by_address:
            found = [*addresses(self.event)]
        else:
            found = [each.sub for each in issued_subjects(self.event) if each.iss == instance.subject_issuer]
        return found[0] if len(set(found)) == 1 else None

    def _session_call(self, instance: Instance, session: Session) -> Step:
        plan, credential = instance.kind.session, _credential(session)
        if plan is None or plan.credential not in credential:
            return RefusedUnit(instance.name, Reason.ROUTE_UNRESOLVABLE)
        return self._call(instance, plan.operation, _unit_of(session), session, **credential)

    def _covered(self, instance: Instance, sessions: tuple[Session, ...]) -> tuple[ProviderCall, ...]:
        """Dead with the user's other tokens, also where a session's own credential is of no use at the provider."""
        if (plan := instance.kind.session) is None:
            return ()
        calls = (self._call(instance, plan.operation, _unit_of(each), each, **_credential(each)) for each in sessions)
        return tuple({call.call_id: call for call in calls}.values())

    def _call(
        self, instance: Instance, operation: Operation, unit: str, session: Session | None = None, **whose: str
    ) -> ProviderCall:
        """*whose*: the member that names its target, a user id or a credential."""
        call = ProviderCall(
            **self._of_event,
            **whose,
            call_id=call_id(self.event.source, self.event.id, instance.name, operation, unit),
            provider=instance.name,
            operation=operation,
            expires_at=session.expires_at if session else None,
        )
        return call.model_copy(update={"target_key": self.catalogue.subjects.target(call.target)})

    @cached_property
    def _of_event(self) -> dict[str, Any]:
        """What every call of the event has from it."""
        event = self.event
        occurred_at, lane, begins = event.time, EVENT_TYPES[event.type].lane, event.time
        if isinstance(event.data, StartedData):  # what ended it is late already, and so is this
            occurred_at, lane = max(event.time, self.registered.ended_at or event.time), Lane.URGENT
            begins = max(occurred_at, self.planned_at or occurred_at)
        budget_ends = after(begins, self.catalogue.budgets[lane])
        return {
            "source": event.source,
            "event_id": event.id,
            "event_type": event.type,
            "occurred_at": occurred_at,
            "planned_at": self.planned_at,
            "deadline": min(budget_ends, expiry_of(event.expirytime, event.time) or budget_ends),
            "lane": lane,
            "traceparent": event.traceparent,
            **self.naming,
        }

    @cached_property
    def naming(self) -> dict[str, Any]:
        return self.catalogue.subjects.naming(self.event)
