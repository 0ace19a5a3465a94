"""What Genesys Cloud's answers mean, and the documents in them (developer.genesys.cloud, resource Tokens)."""

from collections.abc import Mapping
from typing import Final, Literal, TypeVar

from pydantic import AwareDatetime, ConfigDict, Field, JsonValue, ValidationError

from tasks.outcome import Outcome, Settled, State, Transient
from tasks.providers.answers import Answer, Verdict, status_table
from tasks.providers.base import ProviderModel

Model = TypeVar("Model", bound=ProviderModel)

UNAUTHORIZED: Final = 401
NOT_PRESENTED: Final = "authentication.required"  # the API saw no token at all
REFUSED: Final = "bad.credentials"  # the API knows the token for dead

# A 401 is decided by its error code first; here stands what is left of it.
OWN_TOKEN: Final = status_table({UNAUTHORIZED: Verdict.DEAD})
WORKER_TOKEN: Final = status_table({UNAUTHORIZED: Verdict.FAULT, 403: Verdict.FAULT})
NOT_FOUND: Final[Mapping[str, Verdict]] = {"dead": Verdict.DEAD, "settled": Verdict.ALREADY_REVOKED}


class TokenInfo(ProviderModel):
    """What Genesys Cloud says of a token: GetTokensMe. It names no user."""

    model_config = ConfigDict(extra="ignore")

    organization: dict[str, JsonValue] = Field({})
    home_organization: dict[str, JsonValue] = Field({}, alias="homeOrganization")
    authorized_scope: tuple[str, ...] = Field((), alias="authorizedScope")
    cloned_user: dict[str, JsonValue] | None = Field(None, alias="clonedUser")
    date_token_idles: AwareDatetime | None = Field(None, alias="dateTokenIdles")
    client: dict[str, JsonValue] = Field({}, alias="OAuthClient")


class IdleTimeout(ProviderModel):
    """After how long without use a token dies: GetTokensTimeout. Members we do not know are kept as they are."""

    model_config = ConfigDict(extra="allow")

    seconds: int = Field(alias="idleTokenTimeoutSeconds")
    enabled: bool = Field(alias="enableIdleTokenTimeout")


def error_code(answer: Answer) -> str | None:
    """Return the `code` of an error body; None where there is no readable one."""
    code = answer.members().get("code")
    return code if isinstance(code, str) and code else None


def refuses_bearer(answer: Answer) -> bool:
    """Whether *answer* refuses the token it was asked with; one that saw no token refuses nothing."""
    return answer.status == UNAUTHORIZED and error_code(answer) != NOT_PRESENTED


def of_own_token(answer: Answer) -> Outcome:
    """Return the outcome of a call made with the user's token.

    401 `bad.credentials`: dead already. 401 with any other code (`authentication.required` above all: we presented
    none, or something on the way took it off): a dead letter. 401 without a readable code could be either, and
    nothing is claimed on a guess: a bad reply, asked again.
    """
    if answer.status != UNAUTHORIZED:
        return answer.outcome(OWN_TOKEN.get(answer.status, Verdict.RETRY), told(answer))
    match error_code(answer):
        case None:
            return answer.bad_reply(told(answer))
        case code if code == REFUSED:
            return answer.outcome(Verdict.ALREADY_REVOKED, told(answer), f"401 {REFUSED}")
        case _:
            return answer.outcome(Verdict.DEAD, told(answer))


def of_worker_token(answer: Answer, not_found: Literal["dead", "settled"] = "dead") -> Outcome:
    """Return the outcome of a call made with the worker's token, after the one renewal a 401 gets."""
    if answer.status == 404:  # noqa: PLR2004 - the number is the name
        return answer.outcome(NOT_FOUND[not_found], told(answer))
    if answer.status == UNAUTHORIZED and not refuses_bearer(answer):
        return answer.outcome(Verdict.DEAD, told(answer))
    return answer.outcome(WORKER_TOKEN.get(answer.status, Verdict.RETRY), told(answer))


def told(answer: Answer) -> Mapping[str, object]:
    """Return what helps people and the vendor's support to find the request."""
    members = answer.members()
    return {
        "code": members.get("code"),
        "context_id": members.get("contextId"),
        "correlation_id": answer.headers.get("ININ-Correlation-Id"),
    }


def with_proof(accepted: Settled, probe: Answer | Transient) -> Settled:
    """Return *accepted*, confirmed where the *probe* made with the same token was refused; its evidence tells both."""
    answered = probe.reason if isinstance(probe, Transient) else str(probe.status)
    evidence = f"{accepted.evidence}; probe {answered}"
    is_refused = isinstance(probe, Answer) and refuses_bearer(probe)
    return Settled(State.CONFIRMED if is_refused else State.ACCEPTED, evidence, accepted.detail)


def document(answer: Answer, model: type[Model]) -> Model | Transient:
    """Return the *model* in the body of a success; a bad reply where it is not there."""
    try:
        return model.model_validate_json(answer.body)
    except ValidationError:
        return answer.bad_reply(told(answer))
