"""How one call of a declared provider is described: the request, what answers mean, and examples of them."""

from typing import Annotated, Final, Literal

from pydantic import Field, JsonValue, StrictInt

from tasks.providers.declared.auth import HeaderName
from tasks.providers.declared.outcomes import Conditions, Meaning, MemberPath, Row
from tasks.providers.declared.templates import JsonBody, QueryName, RequestLine
from tasks.providers.declared.user_ids import UserIdRule
from tasks.strict_model import StrictModel

WORDS: Final = r"^[ -~]{1,200}$"
_WHERE: Final = r"^(header:[A-Za-z0-9-]{1,64}|[A-Za-z0-9_@$-]{1,64}(\.[A-Za-z0-9_@$-]{1,64}){0,7})$"


class Example(StrictModel):
    """An answer of the provider, and what it means: the definition is held to it, and its twin answers it."""

    status: StrictInt = Field(ge=200, le=599, description="Of the answer")
    json_: dict[str, JsonValue] | tuple[JsonValue, ...] | None = Field(None, alias="json", description="Its body")
    headers: dict[HeaderName, str] = Field({}, description="Its headers")
    means: Meaning = Field(description="What it comes to")


class Probe(StrictModel):
    """A question after a success: an answer that a row fits proves that the token, or the user's last one, is dead."""

    request: RequestLine = Field(description="E.g. `GET /me`; it bears what the call bore")
    dead: tuple[Conditions, ...] = Field(min_length=1, description="Rows without `means`: any of them is the proof")
    alive: tuple[Conditions, ...] = Field(
        (),
        description="Likewise, asked before the call as well: `dead` proves something only of what was alive then, and "
        "no success is believed of what is alive afterwards",
    )


class Exchange(StrictModel):
    """A request, and what each answer to it means."""

    request: RequestLine = Field(description="Method and path, e.g. `DELETE /users/{user_id}/sessions`")
    json_: JsonBody | None = Field(None, alias="json", description="Body as JSON; a leaf may be a placeholder")
    form: dict[str, str] = Field({}, max_length=16, description="Body as a form")
    headers: dict[HeaderName, Annotated[str, Field(pattern=WORDS)]] = Field({}, description="Plain headers")
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
    examples: tuple[Example, ...] = Field(min_length=1, max_length=64, description="One for each row, at least")


class StatusCall(Exchange):
    """The question what has become of a revocation that was begun: asked until it is done."""

    job: str = Field(pattern=_WHERE, description="Where the answer that begins it names it: a member or `header:NAME`")
    job_id: UserIdRule = Field(description="Which names there are, as `user_id`: 64 characters at most")


class ListCall(Exchange):
    """The question what a user still has: each item gets a call of its own, and an empty list is the proof."""

    query: dict[QueryName, Annotated[str, Field(pattern=WORDS)]] = Field(
        {}, max_length=8, description="Query of the request; `{user_id}` stands for it, or in it"
    )
    items: MemberPath = Field("items", description="Where the list is; a body that is one itself has it at `items`")
    id: MemberPath = Field("id", description="The member of each item that is its id")
    item: UserIdRule = Field(description="Which ids there are, as `user_id`")
    next: str | None = Field(
        None, pattern=_WHERE, description="Where the next page's address stands: a member, or `header:Link` (RFC 8288)"
    )


class _Call(Exchange):
    partial: str | None = Field(None, pattern=WORDS, description="What lives on after a success, in a few words")
    probe: Probe | None = Field(None, description="The question that proves a success")
    status: StatusCall | None = Field(None, description="Where a row means `begun`: how to ask whether it is done")


class UserCall(_Call):
    """How every token of a user is revoked."""

    user_id: UserIdRule = Field(description="uuid, number, email, or a pattern of classes with counts")
    list_: ListCall | None = Field(
        None, alias="list", description="What a user has is listed first; the call is then made for each `{item}`"
    )


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


Described = UserCall | SessionCall


def exchanges_of(call: Described) -> dict[str, Exchange]:
    """Return every exchange that *call* may need, by its name: "" is the call itself."""
    list_ = call.list_ if isinstance(call, UserCall) else None
    every: dict[str, Exchange | None] = {"": call, ".list": list_, ".status": call.status}
    return {name: each for name, each in every.items() if each is not None}


def placeholders_of(call: Described, asked: Exchange) -> tuple[frozenset[str], frozenset[str]]:
    """Return the placeholders that the request of *asked*, a part of *call*, must hold, and those that it may."""
    by_reference = isinstance(call, SessionCall) and call.credential == "reference"
    whom = frozenset({"{user_id}"} if isinstance(call, UserCall) else {"{reference}"} if by_reference else ())
    if isinstance(asked, ListCall):
        return whom, whom
    is_item = isinstance(call, UserCall) and call.list_ is not None
    unit = frozenset({"{item}"}) if is_item else whom
    needed = frozenset({"{job}"}) if isinstance(asked, StatusCall) else unit
    return needed, needed | unit | whom
