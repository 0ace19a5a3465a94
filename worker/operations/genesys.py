"""Genesys Cloud asked about a token, or about the idle timeout of an organization's tokens."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar, cast

from tasks.outcome import CredentialFault, Outcome, Permanent, Settled, Transient
from tasks.providers.genesys import GenesysSettings
from tasks.providers.genesys.outcomes import IdleTimeout
from tasks.providers.genesys.provider import Genesys
from tasks.providers.provider import Provider
from worker.ledger import BEGUN, AuditEntry, Ledger, Operator
from worker.operations import RefusedRequest, providers
from worker.operations.providers import outcome_in_words
from worker.settings import Settings

T = TypeVar("T")


class NoAnswer(Exception):  # noqa: N818 - what came instead is no error of ours
    """Genesys Cloud gave no answer; the text says what came instead."""


class CredentialRefused(NoAnswer):
    """It refused our own credential."""


@dataclass(frozen=True, slots=True)
class IdleTimeoutChange:
    """A change of the idle timeout of the organization of *instance*: as it *was*, and as it would be."""

    instance: str
    was: IdleTimeout
    verb: str
    enabled: bool
    seconds: int | None

    @property
    def wanted(self) -> str:
        """The idle timeout as it would be, in words."""
        changed = self.was.changed(enabled=self.enabled, seconds=self.seconds)
        return in_words(IdleTimeout.model_validate(changed))


def instance_of(settings: Settings, name: str | None) -> str:
    """Return the Genesys instance that is meant. Raises RefusedRequest where that is nobody, or not clear."""
    names = sorted(each for each, its in settings.providers.items() if isinstance(its, GenesysSettings))
    if name is None and len(names) == 1:
        return names[0]
    if name not in names:
        raise RefusedRequest(f"the instance must be one of: {', '.join(names) or '(none is configured)'}")
    return name


def ask(settings: Settings, instance: str | None, question: Callable[[Genesys], Awaitable[T | Outcome]]) -> T:
    """Return the answer of *instance* to *question*. Raises RefusedRequest, and NoAnswer."""
    name = instance_of(settings, instance)

    async def put(clients: Mapping[str, Provider]) -> T | Outcome:
        return await question(cast("Genesys", clients[name]))

    answer = providers.ask(settings, [name], put)
    match answer:
        case CredentialFault():
            raise CredentialRefused(outcome_in_words(answer))
        case Settled() | Transient() | Permanent():
            raise NoAnswer(outcome_in_words(answer))
    return answer


def plan_idle_timeout(
    settings: Settings, instance: str | None, verb: str, *, enabled: bool, seconds: int | None = None
) -> IdleTimeoutChange:
    """Return what a change would come to. Raises as `ask` does."""
    name = instance_of(settings, instance)
    was = ask(settings, name, lambda provider: provider.idle_timeout())
    return IdleTimeoutChange(name, was, verb, enabled, seconds)


def change_idle_timeout(
    settings: Settings, ledger: Ledger, change: IdleTimeoutChange, operator: Operator
) -> tuple[AuditEntry, IdleTimeout]:
    """Make *change*, between two writings of the audit. Raises LedgerUnavailable, and as `ask` does."""
    scope = f"{change.instance} {change.seconds}" if change.seconds else change.instance
    audit = operator.entry(f"genesys.idle-timeout.{change.verb}", scope, plan=change.wanted)
    ledger.audit(replace(audit, result=BEGUN))  # first: what cannot be accounted for is not done

    try:
        changed = ask(settings, change.instance, lambda it: it.set_idle_timeout(change.seconds, enabled=change.enabled))
    except NoAnswer as failure:
        ledger.audit(replace(audit, result=str(failure)))
        raise
    ledger.audit(replace(audit, count=1, result=f"was {in_words(change.was)}"))
    return audit, changed


def in_words(timeout: IdleTimeout) -> str:
    """The idle timeout for people."""
    time = "a time that is not told" if timeout.seconds is None else f"{timeout.seconds} s"
    match timeout.enabled:
        case True:
            return f"on, after {time}"
        case False:
            return f"off, {time} if it were on"
        case _:
            return f"{time}, on or off is not told"
