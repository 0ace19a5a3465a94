"""A provider as a table: what it is asked, what its answers mean, and answers that prove that the table says so."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, Literal, Self

from pydantic import Field, SecretStr, model_validator

from tasks.providers.declared.auth import Auth, NoAuth, members_of
from tasks.providers.declared.calls import WORDS, Described, SessionCall, UserCall, exchanges_of
from tasks.providers.declared.mistakes import mistakes, mistakes_of_form
from tasks.providers.declared.user_ids import is_user_id
from tasks.providers.kind import BaseUrl, CommonSettings, Kind, SessionPlan, UserPlan

REVOKE_SESSION: Final = "http.revoke_session"
REVOKE_USER: Final = "http.revoke_user"
REVOKE_LISTED: Final = "http.revoke_listed"
_SECRET_HEADERS: Final = re.compile(r"authorization|cookie|proxy-authorization|.*(token|secret|api-?key|password).*")


class HttpSettings(CommonSettings):
    """A provider that a table describes; no code knows it."""

    kind: Literal["http"] = "http"
    base_url: BaseUrl = Field(description="Everything before the paths")
    auth: Auth = Field(
        NoAuth(),
        description="How it knows the worker: `scheme`, what it needs, and its secret",
    )
    session: SessionCall | None = Field(None, description="How one session is revoked")
    user: UserCall | None = Field(None, description="How every token of a user is revoked")
    source: str | None = Field(None, pattern=WORDS, description="Where the vendor documents it")
    checked: str | None = Field(None, pattern=r"^20\d\d-\d\d-\d\d$", description="When somebody last compared it")

    @model_validator(mode="after")
    def _holds_no_mistake(self) -> Self:
        if self.session is None and self.user is None:
            raise ValueError("nothing_to_call: set session, user or both")
        found = [f"{place}: {told}" for place, call in self.calls.items() for told in self._mistakes(call)]
        if found:
            raise ValueError("; ".join(found))
        return self

    def _mistakes(self, call: Described) -> list[str]:
        named = {name for each in exchanges_of(call).values() for name in each.headers}
        secret = [name for name in sorted(named) if _SECRET_HEADERS.fullmatch(name.lower())]
        told = [f"headers: secret_in_definition: {name} bears a credential: use auth" for name in secret]
        members = members_of(self.auth) if self.is_own(call) else frozenset()
        return [*told, *mistakes(call, own_credential=self.is_own(call)), *mistakes_of_form(call, members)]

    @property
    def calls(self) -> Mapping[str, Described]:
        """The calls that are described, by their names."""
        both: dict[str, Described | None] = {"session": self.session, "user": self.user}
        return {name: call for name, call in both.items() if call is not None}

    def is_own(self, call: Described) -> bool:
        """Whether *call* is made with our credential, so that a 401 is about that."""
        return not (isinstance(self.auth, NoAuth) or (isinstance(call, SessionCall) and call.credential == "bearer"))

    @property
    def api(self) -> str:
        """The base URL of the API that revokes."""
        return self.base_url

    @property
    def base_urls(self) -> tuple[str, ...]:
        """Those of the API and of the login."""
        token_url = getattr(self.auth, "token_url", None)
        return (self.base_url, *([token_url] if token_url else ()))

    @property
    def account(self) -> tuple[str, ...]:
        """The base URL, and whatever is told of our credential."""
        auth: dict[str, Any] = dict(self.auth)
        parts = (auth.get(each) for each in ("client_id", "username", "api_key", "issuer", "subject", "access_key_id"))
        told = (each.get_secret_value() if isinstance(each, SecretStr) else each for each in parts)
        return (self.base_url, *(each for each in told if each))


def _of_settings(settings: HttpSettings) -> Kind:
    """Return the kind as one table narrows it: what it can do, and with whose credential."""
    session, user = settings.session, settings.user
    by_reference = session is not None and session.credential == "reference"
    brings: Literal["jwe", "token_reference_id"] = "token_reference_id" if by_reference else "jwe"
    return replace(
        KIND,
        session=SessionPlan(REVOKE_SESSION, brings, settings.is_own(session)) if session else None,
        user=UserPlan(
            REVOKE_USER,
            lambda value: is_user_id(user.user_id, value),
            settings.is_own(user),
            REVOKE_LISTED if user.list_ else None,
        )
        if user
        else None,
    )


KIND: Final = Kind(
    "http",
    HttpSettings,
    "tasks.providers.declared.provider:Declared",
    session=SessionPlan(REVOKE_SESSION, "jwe", own_credential=True),
    user=UserPlan(REVOKE_USER, lambda _: False, listed=REVOKE_LISTED),
    narrowed=_of_settings,
)
