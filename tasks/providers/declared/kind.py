"""A provider as a table: what it is asked, what its answers mean, and answers that prove that the table says so."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, JsonValue, SecretStr, StrictInt, model_validator

from tasks.providers.declared.auth import Auth, HeaderName, NoAuth
from tasks.providers.declared.mistakes import mistakes
from tasks.providers.declared.outcomes import Conditions, Meaning, Row
from tasks.providers.declared.templates import JsonBody, RequestLine
from tasks.providers.declared.user_ids import UserIdRule, is_user_id
from tasks.providers.kind import BaseUrl, CommonSettings, Kind, SessionPlan, UserPlan
from tasks.strict_model import StrictModel

REVOKE_SESSION: Final = "http.revoke_session"
REVOKE_USER: Final = "http.revoke_user"
_SECRET_HEADERS: Final = re.compile(r"authorization|cookie|proxy-authorization|.*(token|secret|api-?key|password).*")
_WORDS: Final = r"^[ -~]{1,200}$"


class Example(StrictModel):
    """An answer of the provider, and what it means: the definition is held to it, and its twin answers it."""

    status: StrictInt = Field(ge=200, le=599, description="Of the answer")
    json_: dict[str, JsonValue] | None = Field(None, alias="json", description="Its body")
    headers: dict[HeaderName, str] = Field({}, description="Its headers")
    means: Meaning = Field(description="What it comes to")


class Probe(StrictModel):
    """A question after a success: an answer that a row fits proves that the token, or the user's last one, is dead."""

    request: RequestLine = Field(description="E.g. `GET /me`; it bears what the call bore")
    dead: tuple[Conditions, ...] = Field(min_length=1, description="Rows without `means`: any of them is the proof")


class _Call(StrictModel):
    request: RequestLine = Field(description="Method and path, e.g. `DELETE /users/{user_id}/sessions`")
    json_: JsonBody | None = Field(None, alias="json", description="Body as JSON; a leaf may be a placeholder")
    form: dict[str, str] = Field({}, max_length=16, description="Body as a form")
    headers: dict[HeaderName, Annotated[str, Field(pattern=_WORDS)]] = Field({}, description="Plain headers")
    outcomes: tuple[Row, ...] = Field(min_length=1, max_length=64, description="Rows; the first that fits decides")
    default: Literal["dead", "retry"] = Field(description="What a 4xx or 501 comes to that no row names")
    details: dict[str, str] = Field(
        {}, max_length=8, description="What is kept of an answer: a member, `header:NAME` or `challenge`, by its name"
    )
    retry_after: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9-]{1,64}:(seconds|milliseconds|epoch)$",
        description="The vendor's header beside Retry-After, e.g. `X-Rate-Limit-Reset:epoch`",
    )
    partial: str | None = Field(None, pattern=_WORDS, description="What lives on after a success, in a few words")
    probe: Probe | None = Field(None, description="The question that proves a success")
    examples: tuple[Example, ...] = Field(min_length=1, max_length=64, description="One for each row, at least")


class UserCall(_Call):
    """How every token of a user is revoked."""

    user_id: UserIdRule = Field(description="uuid, number, email, or a pattern of classes with counts")


class SessionCall(_Call):
    """How one session is revoked: by its token, or by a reference that an event brings."""

    credential: str = Field(
        pattern=r"^(bearer|reference|(form|json):[A-Za-z0-9_]{1,64})$",
        description="Where the token goes: `bearer`, `form:token`, `json:access_token`; or `reference`: no token",
    )
    reference: UserIdRule | None = Field(None, description="Which references there are, as `user_id`")

    @property
    def member(self) -> str | None:
        """The member of the body that holds the token."""
        return self.credential.partition(":")[2] or None


class HttpSettings(CommonSettings):
    """A provider that a table describes; no code knows it."""

    kind: Literal["http"] = "http"
    base_url: BaseUrl = Field(description="Everything before the paths")
    auth: Auth = Field(
        NoAuth(),
        description="How it knows the worker: `scheme` none, header, basic, client_credentials or private_key_jwt",
    )
    session: SessionCall | None = Field(None, description="How one session is revoked")
    user: UserCall | None = Field(None, description="How every token of a user is revoked")
    source: str | None = Field(None, pattern=_WORDS, description="Where the vendor documents it")
    checked: str | None = Field(None, pattern=r"^20\d\d-\d\d-\d\d$", description="When somebody last compared it")

    @model_validator(mode="after")
    def _holds_no_mistake(self) -> Self:
        if self.session is None and self.user is None:
            raise ValueError("nothing_to_call: set session, user or both")
        found = [f"{place}: {told}" for place, call in self.calls.items() for told in self._mistakes(call)]
        if found:
            raise ValueError("; ".join(found))
        return self

    def _mistakes(self, call: "UserCall | SessionCall") -> list[str]:
        secret = [name for name in call.headers if _SECRET_HEADERS.fullmatch(name.lower())]
        told = [f"headers: secret_in_definition: {name} bears a credential: use auth" for name in secret]
        return [*told, *mistakes(call, own_credential=self.is_own(call))]

    @property
    def calls(self) -> Mapping[str, "UserCall | SessionCall"]:
        """The calls that are described, by their names."""
        both: dict[str, UserCall | SessionCall | None] = {"session": self.session, "user": self.user}
        return {name: call for name, call in both.items() if call is not None}

    def is_own(self, call: "UserCall | SessionCall") -> bool:
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
        parts = (auth.get("client_id"), auth.get("username"), auth.get("value"))
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
        user=UserPlan(REVOKE_USER, lambda value: is_user_id(user.user_id, value), settings.is_own(user))
        if user
        else None,
    )


KIND: Final = Kind(
    "http",
    HttpSettings,
    "tasks.providers.declared.provider:Declared",
    session=SessionPlan(REVOKE_SESSION, "jwe", own_credential=True),
    user=UserPlan(REVOKE_USER, lambda _: False),
    narrowed=_of_settings,
)
