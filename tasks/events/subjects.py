"""Whom an event is about: subject identifiers of RFC 9493, and the complex subjects of Shared Signals 1.0."""

from typing import Annotated, Final, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from tasks.events.fields import Open, Text256, Text512

MAX_MEMBERS: Final = 8
UNKNOWN_FORMAT: Final = "subject_format"
"""The type of the validation error for a subject whose `format` is missing or unknown."""


class IssSub(Open):
    """A subject of an issuer (RFC 9493 section 3.2.4)."""

    format: Literal["iss_sub"]
    iss: Text512
    sub: Text256


class Email(Open):
    """A mailbox (RFC 9493 section 3.2.2)."""

    format: Literal["email"]
    email: Annotated[str, Field(min_length=3, max_length=254)]


class Opaque(Open):
    """An identifier without a stated meaning (RFC 9493 section 3.2.5)."""

    format: Literal["opaque"]
    id: Text256


class Uri(Open):
    """A URI, or the `acct:` URI of an account (RFC 9493 sections 3.2.7 and 3.2.1)."""

    format: Literal["account", "uri"]
    uri: Text512


class PhoneNumber(Open):
    """A telephone number in E.164 form (RFC 9493 section 3.2.6)."""

    format: Literal["phone_number"]
    phone_number: Annotated[str, Field(pattern=r"^\+[0-9]{1,15}$")]


class Did(Open):
    """A decentralized identifier's URL (RFC 9493 section 3.2.3)."""

    format: Literal["did"]
    url: Annotated[str, Field(min_length=5, max_length=512)]


def _branch(value: object) -> str | None:
    name = value.get("format") if isinstance(value, dict) else getattr(value, "format", None)
    return f"<{name}>" if isinstance(name, str) else None


_Simple = (
    Annotated[IssSub, Tag("<iss_sub>")]
    | Annotated[Email, Tag("<email>")]
    | Annotated[Opaque, Tag("<opaque>")]
    | Annotated[Uri, Tag("<account>")]
    | Annotated[Uri, Tag("<uri>")]
    | Annotated[PhoneNumber, Tag("<phone_number>")]
    | Annotated[Did, Tag("<did>")]
)
_by_format = Discriminator(_branch, custom_error_type=UNKNOWN_FORMAT, custom_error_message="unknown subject format")
SimpleSubject = Annotated[_Simple, _by_format]


class Aliases(Open):
    """Several names of one subject (RFC 9493 section 3.2.8)."""

    format: Literal["aliases"]
    identifiers: Annotated[tuple[SimpleSubject, ...], Field(strict=False, min_length=1, max_length=16)]


class Complex(Open):
    """One subject in several parts, such as a user and a device (Shared Signals Framework 1.0, section 3.2)."""

    __pydantic_extra__: dict[str, SimpleSubject] = Field(init=False)
    format: Literal["complex"]

    @property
    def members(self) -> dict[str, SimpleSubject]:
        """The parts by name, one to eight of them."""
        return self.__pydantic_extra__

    @model_validator(mode="after")
    def _has_members(self) -> Self:
        if not 1 <= len(self.members) <= MAX_MEMBERS:
            raise ValueError("needs one to eight members")
        return self


SubId = Annotated[_Simple | Annotated[Aliases, Tag("<aliases>")] | Annotated[Complex, Tag("<complex>")], _by_format]
