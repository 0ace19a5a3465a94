"""Which exchange of its table a call needs now: the call itself, the list of what is left, or the question how far."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from pydantic import SecretStr

from tasks.call import ProviderCall
from tasks.providers.declared.calls import Described, Exchange, SessionCall, UserCall
from tasks.providers.declared.jobs import begun_by
from tasks.providers.declared.kind import REVOKE_LISTED, REVOKE_SESSION, REVOKE_USER, HttpSettings
from tasks.providers.declared.user_ids import is_user_id

_PLACES: Final = {REVOKE_SESSION: "session", REVOKE_USER: "user", REVOKE_LISTED: "user"}


class NotAdmittedError(ValueError):
    """The call brings no value of the form that its table allows; the text is the value's name."""


@dataclass(frozen=True, slots=True)
class Whom:
    """What a call is about: a user, an item, a reference or a token."""

    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    token: SecretStr | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be asked now."""

    place: str  # in the settings: "user", "user.list", "session.status"
    call: Described
    asked: Exchange
    values: Mapping[str, str] = field(repr=False)  # of the placeholders
    job: str | None = None  # what was begun, where that is asked about

    @property
    def bears_token(self) -> bool:
        """Whether the user's own token is the credential."""
        return isinstance(self.call, SessionCall) and self.call.credential == "bearer"

    @property
    def takes_token(self) -> bool:
        """Whether the user's own token is sent at all."""
        return isinstance(self.call, SessionCall) and self.call.credential != "reference"


def step_of(settings: HttpSettings, call: ProviderCall) -> Step:
    """Return what *call* needs now.

    Raises NotAdmittedError where the call brings nothing that may be asked about, and ValueError for an operation of
    another kind, or one that the table leaves out.
    """
    place = _PLACES.get(call.operation, "")
    described = settings.calls.get(place)
    is_item = call.operation == REVOKE_LISTED
    lists = described.list_ if isinstance(described, UserCall) else None
    if described is None or (is_item and lists is None):
        raise ValueError(f"{call.operation} is no operation of {call.provider}")
    values = _values(described, call)
    if lists is not None and not is_item:
        return Step(f"{place}.list", described, lists, values)
    if described.status is not None and (job := begun_by(described.status, call)):
        return Step(f"{place}.status", described, described.status, {**values, "{job}": job}, job)
    return Step(place, described, described, values)


def _values(described: Described, call: ProviderCall) -> Mapping[str, str]:
    """Return what stands for the placeholders."""
    if isinstance(described, SessionCall):
        if described.credential != "reference":
            return {}
        return {"{reference}": _admitted("token_reference_id", described.reference or "", call.token_reference_id)}
    values = {"{user_id}": _admitted("user_id", described.user_id, call.user_id)}
    if described.list_ is not None and call.operation == REVOKE_LISTED:
        values["{item}"] = _admitted("item_id", described.list_.item, call.item_id)
    return values


def _admitted(name: str, rule: str, value: str | None) -> str:
    if value is None or not is_user_id(rule, value):
        raise NotAdmittedError(name)
    return value
