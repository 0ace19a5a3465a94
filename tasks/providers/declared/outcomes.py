"""The outcomes of a declared provider: rows, of which the first that fits an answer says what it means.

A row is data and nothing else: whether it fits is equality. What holds for every provider needs no row, and none can
undo it: no redirect is followed or believed, a 2xx that no row names is doubted, and 408, 425, 429 and 5xx heal.
"""

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import product
from typing import Annotated, Final, Literal

from pydantic import Field, StrictBool, StrictInt, StrictStr

from tasks.outcome import Outcome, Permanent, Reason, Transient
from tasks.providers import contradictions, headers
from tasks.providers.answers import Answer, StatusMeaning, status_table
from tasks.strict_model import StrictModel

UNAUTHORIZED: Final = 401
_USUAL: Final = status_table(success=())
_OF_FAILURE: Final = frozenset(
    {"code", "error", "errors", "message", "fault", "exception"}
)  # names in the body of a failure

MemberPath = Annotated[str, Field(pattern=r"^[A-Za-z0-9_@$-]{1,64}(\.[A-Za-z0-9_@$-]{1,64}){0,7}$")]
"""Members of JSON objects from the outermost, with dots between: `error.code`."""
Scalar = StrictStr | StrictBool | StrictInt


class Meaning(StrEnum):
    """What an answer says about a revocation, as a definition names it."""

    ACCEPTED = "accepted"
    BEGUN = "begun"
    ALREADY_REVOKED = "already_revoked"
    NOT_FOUND = "not_found"
    CREDENTIAL = "credential"
    RETRY = "retry"
    DEAD = "dead"
    BAD_REPLY = "bad_reply"

    @property
    def is_success(self) -> bool:
        """Whether it says that the tokens are dead."""
        return self in {Meaning.ACCEPTED, Meaning.ALREADY_REVOKED}


_STATUS_MEANINGS: Final[Mapping[Meaning, StatusMeaning]] = {
    Meaning.ACCEPTED: StatusMeaning.ACCEPTED,
    Meaning.ALREADY_REVOKED: StatusMeaning.ALREADY_REVOKED,
    Meaning.CREDENTIAL: StatusMeaning.FAULT,
    Meaning.RETRY: StatusMeaning.RETRY,
    Meaning.DEAD: StatusMeaning.DEAD,
    Meaning.BAD_REPLY: StatusMeaning.DOUBTED,
}


class Conditions(StrictModel):
    """What an answer must be. Members are looked at only in a body that is JSON by its media type as well."""

    status: tuple[StrictInt, ...] | StrictInt = Field(description="The status, or a list of them")
    json_: dict[MemberPath, Scalar | tuple[Scalar, ...]] = Field(
        {}, alias="json", description="Members of the body, and the value of each, or a list of values"
    )
    has: dict[MemberPath, Literal["text", "number"]] = Field(
        {}, description="Members that the body must have, whatever their value: `text` that is not empty, or `number`"
    )
    challenge: Literal["invalid_token"] | None = Field(
        None, description="`invalid_token`: WWW-Authenticate says that the token is dead (RFC 6750 section 3.1)"
    )
    body: Literal["none", "empty_object"] | None = Field(
        None, description="`none`: there is no body; `empty_object`: it is `{}`, which else is no success"
    )

    @property
    def statuses(self) -> tuple[int, ...]:
        """The statuses that it is about."""
        return (self.status,) if isinstance(self.status, int) else self.status

    @property
    def is_bare(self) -> bool:
        """Whether the status alone decides."""
        return not (self.json_ or self.has or self.challenge or self.body)

    @property
    def tells_of_token(self) -> bool:
        """Whether it asks for a word about the token: a challenge, or a member with a value."""
        return bool(self.json_ or self.challenge)

    def fits(self, answer: Answer) -> bool:
        """Whether *answer* is what the row is about."""
        if answer.status not in self.statuses or not self._has_body(answer):
            return False
        if self.challenge and not headers.names_dead_token(answer.headers):
            return False
        members = answer.document() if self.json_ or self.has else {}
        has_values = all(_equals(at(members, path), wanted) for path, wanted in self.json_.items())
        return has_values and all(_is_a(form, at(members, path)) for path, form in self.has.items())

    def _has_body(self, answer: Answer) -> bool:
        is_empty_object = answer.body.strip() == b"{}" and not answer.unread
        return self.body is None or (answer.is_blank if self.body == "none" else is_empty_object)

    def covers(self, other: "Conditions", status: int) -> bool:
        """Whether every answer of *status* that *other* fits is one that this fits."""
        return (
            status in self.statuses
            and all(path in other.json_ and _among(other.json_[path], wanted) for path, wanted in self.json_.items())
            and self.has.items() <= other.has.items()
            and self.challenge in {None, other.challenge}
            and self.body in {None, other.body}
        )

    def word_of(self, answer: Answer) -> str:
        """Return the word by which *answer* fits, behind its status: `401 bad.credentials`."""
        told = (at(answer.document(), path) for path in self.json_)
        words = (self.challenge, *(each for each in told if isinstance(each, str)))
        return " ".join(filter(None, (str(answer.status), *words)))


class Row(Conditions):
    """One row: the first that fits an answer says what it means."""

    means: Meaning = Field(
        description="accepted, begun, already_revoked, not_found, credential, retry, dead or bad_reply"
    )


def at(members: object, path: str) -> object:
    """Return the member at *path* of a JSON document; None where there is none."""
    for name in path.split("."):
        members = members.get(name) if isinstance(members, dict) else None
    return members


def _equals(value: object, wanted: Scalar | tuple[Scalar, ...]) -> bool:
    return any(type(value) is type(each) and value == each for each in _listed(wanted))


def _is_a(form: Literal["text", "number"], value: object) -> bool:
    return bool(value) and isinstance(value, str) if form == "text" else type(value) in {int, float}


def _listed(wanted: Scalar | tuple[Scalar, ...]) -> tuple[Scalar, ...]:
    return wanted if isinstance(wanted, tuple) else (wanted,)


def _among(some: Scalar | tuple[Scalar, ...], others: Scalar | tuple[Scalar, ...]) -> bool:
    return all(_equals(each, others) for each in _listed(some))


def pairs(rows: Sequence[Row]) -> Iterator[tuple[int, Row, int]]:
    """Yield each row with its number, from 1, and each of its statuses."""
    for number, row in enumerate(rows, start=1):
        yield from ((number, row, status) for status in row.statuses)


def unreachable(rows: Sequence[Row]) -> Iterator[tuple[int, int]]:
    """Yield the number of each row that never decides, and that of an earlier one that takes its answers."""
    for (number, row), earlier in product(enumerate(rows, start=1), range(1, len(rows))):
        if earlier < number and all(rows[earlier - 1].covers(row, status) for status in row.statuses):
            yield number, earlier


class Reader:
    """Reads answers by *rows*; what they leave open is *default*."""

    def __init__(self, rows: Sequence[Row], default: Literal["dead", "retry"], *, own_credential: bool) -> None:
        self._rows, self._default, self._own_credential = rows, Meaning(default), own_credential

    def read(self, answer: Answer) -> tuple[Meaning, str]:
        """Return what *answer* means, and the evidence. A success that contradicts itself is a bad reply."""
        row = self._row(answer)
        if row is None:
            return self._usual(answer.status), str(answer.status)
        if not self._is_believed(row, answer):
            return Meaning.BAD_REPLY, str(answer.status)
        return row.means, row.word_of(answer)

    def outcome(self, answer: Answer, fields: Mapping[str, object]) -> Outcome:
        """Return the outcome of *answer*, with the harmless ones of *fields* as its detail."""
        meaning, evidence = self.read(answer)
        match meaning:
            case Meaning.NOT_FOUND:
                return Permanent(Reason.PROVIDER_NOT_FOUND, answer.detail(fields))
            case Meaning.BEGUN:
                return Transient(Reason.PROVIDER_IN_PROGRESS, answer.retry_after, answer.detail(fields))
        return answer.outcome(_STATUS_MEANINGS[meaning], fields, evidence)

    def is_failed(self, answer: Answer) -> bool:
        """Whether a row says that what was begun has come to nothing, and is to be asked for again."""
        row = self._row(answer)
        return row is not None and row.means is Meaning.RETRY

    def _row(self, answer: Answer) -> Row | None:
        return next((each for each in self._rows if each.fits(answer)), None)

    def refuses_credential(self, answer: Answer) -> bool:
        """Whether *answer* refuses the token that we bought: another one is bought, once."""
        return answer.status == UNAUTHORIZED and self.read(answer)[0] is Meaning.CREDENTIAL

    def _usual(self, status: int) -> Meaning:
        match _USUAL.get(status, StatusMeaning.RETRY):
            case StatusMeaning.DOUBTED:
                return Meaning.BAD_REPLY
            case StatusMeaning.RETRY:
                return Meaning.RETRY
            case _:
                return Meaning.DEAD if status < 400 else self._default  # noqa: PLR2004 - a redirect is never repeated

    def _is_believed(self, row: Row, answer: Answer) -> bool:
        if row.means in {Meaning.ACCEPTED, Meaning.BEGUN}:
            return holds_no_failure(row, answer)
        return row.means is not Meaning.ALREADY_REVOKED or answer.status != UNAUTHORIZED or knows_dead(row, answer)


def holds_no_failure(row: Conditions, answer: Answer) -> bool:
    """Whether a success holds nothing, or a JSON object that speaks of no failure: a sign-in page is neither."""
    members = answer.document()
    asked = {path.partition(".")[0] for path in row.json_}
    named = (value for name, value in members.items() if contradictions.folded(name) in _OF_FAILURE - asked)
    is_empty = answer.is_blank or row.body == "empty_object"
    return is_empty or (bool(members) and not any(named) and not contradictions.denies_success(members))


def knows_dead(row: Conditions, answer: Answer) -> bool:
    """Whether a 401 that *row* fits is the provider's word about the token, and nothing in it says otherwise.

    What a gateway answers for itself says nothing of the token, nor does an API that does not know who issued it.
    """
    members = answer.document()
    if not (members or answer.is_blank) or headers.contradicts_dead_token(answer.headers):
        return False
    elsewhere = any(map(headers.speaks_of_another_place, contradictions.texts_in(members)))
    status = members.get("status", answer.status)
    is_same = status == answer.status and not contradictions.other_status(members, answer.status)
    return is_same and not elsewhere and not _has_another_word(row, members, answer.status)


def _has_another_word(row: Conditions, members: Mapping[str, object], status: int) -> bool:
    """Whether a member that *row* asks for stands anywhere else with a value of another meaning."""
    wanted = {contradictions.folded(path.rpartition(".")[2]): values for path, values in row.json_.items()}
    if "code" in wanted:
        wanted["errorcode"] = wanted["code"]
    everything = ((contradictions.folded(name), value) for name, value in contradictions.everything_in(members))
    others = (value for name, value in everything if name in wanted and not _equals(value, wanted[name]))
    return any(value not in (status, None) for value in others)
