"""The meaning of Genesys Cloud's answers, and the documents in them (developer.genesys.cloud, resource Tokens)."""

from collections.abc import Mapping
from typing import Final, Literal, TypeVar

from pydantic import AwareDatetime, ConfigDict, Field, JsonValue, StrictBool, StrictInt, ValidationError

from tasks.outcome import Outcome, Permanent, Reason, Settled, State, Transient
from tasks.providers import contradictions, headers
from tasks.providers.answers import Answer, StatusMeaning, status_table
from tasks.strict_model import StrictModel

Model = TypeVar("Model", bound=StrictModel)

UNAUTHORIZED: Final = 401
NOT_PRESENTED: Final = "authentication.required"  # the API saw no token at all
REFUSED: Final = "bad.credentials"  # the API knows the token for dead

_NOT_FOUND: Final = 404
_ERRORS: Final = ("code", "error", "errors", "message", "fault", "exception")  # names in the body of a failure
_OF_CODES: Final = frozenset({"code", "errorcode"})

# A 401 is decided by its error code first; here stands what is left of it. The vendor says "successful operation" and
# no number: these two are what its SDKs take for a success without a document.
_DELETED: Final = frozenset({200, 204})
OWN_TOKEN: Final = status_table({UNAUTHORIZED: StatusMeaning.DEAD}, _DELETED)
WORKER_TOKEN: Final = status_table({UNAUTHORIZED: StatusMeaning.FAULT, 403: StatusMeaning.FAULT}, _DELETED)


class TokenInfo(StrictModel):
    """What Genesys Cloud says of a token: GetTokensMe. It names no user."""

    model_config = ConfigDict(extra="ignore")

    organization: dict[str, JsonValue] = Field({})
    home_organization: dict[str, JsonValue] = Field({}, alias="homeOrganization")
    authorized_scope: tuple[str, ...] = Field((), alias="authorizedScope")
    cloned_user: dict[str, JsonValue] | None = Field(None, alias="clonedUser")
    date_token_idles: AwareDatetime | None = Field(None, alias="dateTokenIdles")
    client: dict[str, JsonValue] = Field({}, alias="OAuthClient")


class IdleTimeout(StrictModel):
    """After how long without use a token dies: IdleTokenTimeout of GetTokensTimeout. Unknown members are kept."""

    model_config = ConfigDict(extra="allow")

    seconds: StrictInt | None = Field(None, alias="idleTokenTimeoutSeconds")
    enabled: StrictBool | None = Field(None, alias="enableIdleTokenTimeout")

    def changed(self, *, enabled: bool, seconds: int | None = None) -> Mapping[str, JsonValue]:
        """Return the document that PutTokensTimeout takes: as it is but for *enabled*, and *seconds* where given."""
        known = self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        wanted = {"idleTokenTimeoutSeconds": seconds} if seconds is not None else {}
        return {**known, **wanted, "enableIdleTokenTimeout": enabled}


def error_code(answer: Answer) -> str | None:
    """Return the `code` of an error body; None where there is no readable one."""
    code = answer.members().get("code")
    return code if isinstance(code, str) and code else None


def refuses_bearer(answer: Answer) -> bool:
    """Whether *answer* refuses the token it was asked with; one that saw no token refuses nothing."""
    return answer.status == UNAUTHORIZED and error_code(answer) != NOT_PRESENTED


def knows_dead(answer: Answer) -> bool:
    """Whether *answer* is the vendor's word that the token it was asked with is dead.

    Its own error document with `bad.credentials`, sent as JSON, whose message and challenge, if there are any, do not
    say otherwise: what a gateway answers for itself says nothing of the token.
    """
    members = answer.document()
    says_dead = _is_error(answer, UNAUTHORIZED) and members["code"] == REFUSED
    return says_dead and not _says_otherwise(members) and not headers.contradicts_dead_token(answer.headers)


def _says_otherwise(members: Mapping[str, object]) -> bool:
    """Whether anything in an error document speaks of another failure than that of a dead token."""
    everything = ((contradictions.folded(name), value) for name, value in contradictions.everything_in(members))
    known = (REFUSED, UNAUTHORIZED, None)  # a tuple: what is compared may be a list
    other_code = any(name in _OF_CODES and value not in known for name, value in everything)
    elsewhere = any(map(headers.speaks_of_another_place, contradictions.texts_in(members)))
    return other_code or elsewhere or contradictions.other_status(members, UNAUTHORIZED)


def _is_error(answer: Answer, status: int) -> bool:
    """Whether *answer* is of *status* and holds the vendor's error document of that status."""
    members = answer.document()
    code = members.get("code")
    return answer.status == status == members.get("status", status) and isinstance(code, str) and bool(code)


def of_own_token(answer: Answer) -> Outcome:
    """Return the outcome of a call made with the user's token.

    401 `bad.credentials`: dead already. 401 with any other code (`authentication.required` above all: we presented
    none, or something on the way took it off): a dead letter. 401 without a readable code could be either, and
    nothing is claimed on a guess: a bad reply, asked again.
    """
    if answer.status != UNAUTHORIZED:
        return _of_status(answer, OWN_TOKEN)
    if knows_dead(answer):
        return answer.outcome(StatusMeaning.ALREADY_REVOKED, fields_of(answer), f"401 {REFUSED}")
    is_named = _is_error(answer, UNAUTHORIZED) and error_code(answer) != REFUSED
    return answer.outcome(StatusMeaning.DEAD if is_named else StatusMeaning.DOUBTED, fields_of(answer))


def of_worker_token(answer: Answer) -> Outcome:
    """Return the outcome of a call made with the worker's token, after the one renewal a 401 gets."""
    if answer.status == UNAUTHORIZED and not refuses_bearer(answer):
        return answer.outcome(StatusMeaning.DEAD, fields_of(answer))
    return _of_status(answer, WORKER_TOKEN)


def of_delete_token(answer: Answer, not_found: Literal["dead", "settled"]) -> Outcome:
    """Return the outcome of a DeleteToken. That a user is not there settles it only in the vendor's own words."""
    if answer.status != _NOT_FOUND:
        return of_worker_token(answer)
    if not_found == "settled" and _is_error(answer, _NOT_FOUND):
        return answer.outcome(StatusMeaning.ALREADY_REVOKED, fields_of(answer))
    return Permanent(Reason.PROVIDER_NOT_FOUND, answer.detail(fields_of(answer)))


def _of_status(answer: Answer, table: Mapping[int, StatusMeaning]) -> Outcome:
    meaning = table.get(answer.status, StatusMeaning.RETRY)
    if meaning is StatusMeaning.ACCEPTED and not _holds_no_error(answer):
        return answer.bad_reply(fields_of(answer))
    return answer.outcome(meaning, fields_of(answer))


def _holds_no_error(answer: Answer) -> bool:
    """Whether a success holds nothing, or a JSON object that is no error document: a sign-in page is neither."""
    members = answer.document()
    return answer.is_blank or (
        bool(members) and not _names_error(members) and not contradictions.denies_success(members)
    )


def _names_error(members: Mapping[str, object]) -> bool:
    return any(value for name, value in members.items() if contradictions.folded(name) in _ERRORS)


def fields_of(answer: Answer) -> Mapping[str, object]:
    """Return the fields by which people and the vendor's support find the request."""
    members = answer.members()
    return {
        "code": members.get("code"),
        "context_id": members.get("contextId"),
        "correlation_id": answer.headers.get("ININ-Correlation-Id"),
    }


def with_proof(accepted: Settled, probe: Answer | Transient) -> Settled:
    """Return *accepted*, confirmed where the *probe* knows the same token for dead; its evidence tells both."""
    answered = probe.reason if isinstance(probe, Transient) else str(probe.status)
    evidence = f"{accepted.evidence}; probe {answered}"
    is_dead = isinstance(probe, Answer) and knows_dead(probe)
    return Settled(State.CONFIRMED if is_dead else State.ACCEPTED, evidence, accepted.detail)


def document(answer: Answer, model: type[Model]) -> Model | Transient:
    """Return the *model* in the body of a success; a bad reply where it is not there."""
    members = answer.document()
    if not members or _names_error(members):
        return answer.bad_reply(fields_of(answer))
    try:
        return model.model_validate(members)
    except ValidationError:
        return answer.bad_reply(fields_of(answer))
