"""The meaning of an answer: status tables, the outcomes they lead to, and which details of an answer may be kept."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from pydantic import SecretStr

from tasks.outcome import CredentialFault, Outcome, Permanent, Reason, Settled, State, Transient, http_reason
from tasks.providers.headers import wait_asked
from tasks.strict_json import MalformedJsonError, decode

_PLAIN: Final = re.compile(r"[A-Za-z0-9._:/-]{1,256}")
_MAX_DETAIL: Final = 64  # characters
_GIVEAWAY: Final = 8  # characters in a row of a secret that are too many to show
_LINKS: Final = frozenset({"instance"})  # details that are of use only whole
# RFC 8259 section 11, RFC 6839 section 3.1; what Amazon's services call theirs.
_JSON: Final = re.compile(r"application/(json|[a-z0-9.+-]+\+json|x-amz-json-1\.[01])")
_CHARSET: Final = re.compile(r";[ \t]*charset[ \t]*=[ \t]*\"?([^\s;\",]+)", re.IGNORECASE)
_LIKE_UTF8: Final = frozenset({"utf-8", "utf8", "us-ascii", "iso-8859-1"})  # where the body is read as strict UTF-8
_HTML: Final = re.compile(r"text/html|application/xhtml\+xml")
_SUCCESS: Final = range(200, 300)
_REFUSAL: Final = range(300, 500)  # a redirect is one, because none is followed
_HEALS: Final = frozenset({408, 425, 429})
_CONTENT_TOO_LARGE: Final = 413
_NOT_IMPLEMENTED: Final = 501


class StatusMeaning(Enum):
    """The meaning of a status for a revocation."""

    ACCEPTED = auto()
    ALREADY_REVOKED = auto()
    DOUBTED = auto()  # the vendor does not say it, or not with this status alone: a bad reply
    RETRY = auto()
    DEAD = auto()
    FAULT = auto()


def status_table(
    special: Mapping[int, StatusMeaning] | None = None, success: Collection[int] = _SUCCESS
) -> Mapping[int, StatusMeaning]:
    """Return the meaning of every status 100..599: *special* where given, else the rule all providers share.

    Of the 2xx *success* are those that the vendor documents for the operation, the others are doubted; 408, 425, 429
    and 5xx but 501 heal by waiting; a 1xx is no answer; the rest, redirects included, is a dead letter.
    """
    others = dict.fromkeys(set(_SUCCESS).difference(success), StatusMeaning.DOUBTED)
    return {status: _usual(status) for status in range(100, 600)} | others | dict(special or {})


def _usual(status: int) -> StatusMeaning:
    if status in _SUCCESS:
        return StatusMeaning.ACCEPTED
    is_final = (status in _REFUSAL and status not in _HEALS) or status == _NOT_IMPLEMENTED
    return StatusMeaning.DEAD if is_final else StatusMeaning.RETRY


_USUAL: Final = status_table()


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete HTTP answer within the caps. Its repr shows the status only; *headers* look up in any case.

    *unread* names the content coding that was not understood: *body* is then as it came.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    secrets: tuple[SecretStr, ...] = field(default=(), repr=False)
    unread: str | None = field(default=None, repr=False)
    wait: float | None = field(default=None, repr=False)  # seconds, as a header that only this vendor has asks for them

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return self.status in _SUCCESS

    @property
    def reason(self) -> str:
        """The reason this answer gives where it is no success."""
        return _REASONS.get(self.status) or http_reason(self.status)

    @property
    def retry_after(self) -> float | None:
        """Seconds the provider asks us to wait, or None."""
        asked = (wait_asked(self.status, self.headers), self.wait)
        return max((each for each in asked if each is not None), default=None)

    @property
    def is_blank(self) -> bool:
        """Whether the body holds nothing, and does not claim to be a page."""
        return not self.body.strip() and not self.is_page

    @property
    def is_page(self) -> bool:
        """Whether the body is meant for people: HTML, by its media type or its first character."""
        return bool(_HTML.fullmatch(self._media_type)) or self.body.lstrip()[:1] == b"<"

    @property
    def has_challenge(self) -> bool:
        """Whether a scheme of authentication is asked for (RFC 9110 section 11.6.1)."""
        return any(name.lower() == "www-authenticate" for name in self.headers)

    def members(self) -> Mapping[str, object]:
        """Return the members of the JSON object in the body; none where it is anything else.

        It is read as strictly as an event: a member that stands there twice has no meaning.
        """
        if not self.body or self.unread:
            return {}
        try:
            document = decode(self.body)
        except MalformedJsonError:
            return {}
        return document if isinstance(document, dict) else {}

    def document(self) -> Mapping[str, object]:
        """Return the members of a body that is JSON by its media type as well: what an API sends, and no page does."""
        return self.members() if _JSON.fullmatch(self._media_type) and self._is_utf8 else {}

    @property
    def _is_utf8(self) -> bool:
        """Whether the body is not said to be in a coding that JSON never has (RFC 8259 section 8.1)."""
        named = _CHARSET.search(self.headers.get("Content-Type", ""))
        return named is None or named[1].lower() in _LIKE_UTF8

    @property
    def _media_type(self) -> str:
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    def outcome(self, meaning: StatusMeaning, fields: Mapping[str, object], evidence: str | None = None) -> Outcome:
        """Return the outcome of *meaning*, with the harmless ones of *fields* as its detail."""
        detail = self.detail(fields)
        # A 413 that says when to come again is not for good (RFC 9110 section 15.5.14).
        passes = self.status == _CONTENT_TOO_LARGE and self.retry_after is not None
        match meaning:
            case StatusMeaning.ACCEPTED:
                return Settled(State.ACCEPTED, evidence or str(self.status), detail)
            case StatusMeaning.ALREADY_REVOKED:
                return Settled(State.ALREADY_REVOKED, evidence or str(self.status), detail)
            case StatusMeaning.DOUBTED:
                return self.bad_reply(fields)
            case StatusMeaning.DEAD if not passes:
                return Permanent(self.reason, detail)
            case StatusMeaning.RETRY | StatusMeaning.DEAD:
                return Transient(self.reason, self.retry_after, detail)
            case StatusMeaning.FAULT:
                return CredentialFault(self.reason, detail)

    def bad_reply(self, fields: Mapping[str, object]) -> Transient:
        """Return the outcome of an answer that cannot be understood: never a success, and asked again.

        A gateway's page, a cut connection or a key that is being rotated passes, and repeating is harmless.
        """
        known = {**fields, "content_encoding": self.unread}
        return Transient(Reason.PROVIDER_BAD_REPLY, self.retry_after, self.detail(known))

    def reachability_outcome(self) -> Outcome:
        """Return settled for every answer of a server that is neither overloaded nor broken."""
        if _USUAL.get(self.status, StatusMeaning.RETRY) is StatusMeaning.RETRY:
            return self.outcome(StatusMeaning.RETRY, {})
        return Settled(State.ACCEPTED, f"reachable {self.status}")

    def detail(self, fields: Mapping[str, object]) -> Mapping[str, str]:
        """Return the status, and of *fields* the short plain values that give away nothing we sent."""
        secrets = [secret.get_secret_value() for secret in self.secrets]
        texts = {name: str(value) for name, value in fields.items() if type(value) in {str, int}}
        return {
            "status": str(self.status),
            **{
                name: text if name in _LINKS else text[:_MAX_DETAIL]
                for name, text in texts.items()
                if _is_harmless(text, secrets)
            },
        }


_REASONS: Final[Mapping[int, Reason]] = {
    401: Reason.AUTH_UNAUTHORIZED,
    403: Reason.AUTH_FORBIDDEN,
    404: Reason.PROVIDER_NO_ENDPOINT,
}


def _is_harmless(text: str, secrets: Iterable[str]) -> bool:
    return _PLAIN.fullmatch(text) is not None and not any(_gives_away(text, secret) for secret in secrets)


def _gives_away(text: str, secret: str) -> bool:
    """Whether *text* holds the whole *secret*, or eight characters of it in a row."""
    if len(secret) < _GIVEAWAY:
        return bool(secret) and secret in text
    return any(text[start : start + _GIVEAWAY] in secret for start in range(len(text) - _GIVEAWAY + 1))
