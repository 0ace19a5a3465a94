"""The doors: the one list of their kinds, and how settings are read by the kind that they name."""

from typing import Annotated, Final

from pydantic import PlainValidator
from pydantic_core import PydanticKnownError

from tasks.doors import back_channel_logout, global_token_revocation, scim, security_event_tokens
from tasks.doors.door import (
    AccountAdapter,
    Adapter,
    Answer,
    Arrival,
    CommonDoorSettings,
    ForeignEvent,
    Kind,
    Verdict,
    Word,
)

__all__ = [
    "KINDS",
    "AccountAdapter",
    "Adapter",
    "Answer",
    "Arrival",
    "DoorSettings",
    "ForeignEvent",
    "Kind",
    "Verdict",
    "Word",
]

KINDS: Final[dict[str, Kind]] = {
    each.name: each
    for each in (global_token_revocation.KIND, scim.KIND, security_event_tokens.KIND, back_channel_logout.KIND)
}


def _settings_of_kind(value: object) -> CommonDoorSettings:
    """Read *value* as the settings of the kind that it names; the errors are those of a discriminated union."""
    if isinstance(value, CommonDoorSettings):
        return value
    name = value.get("kind") if isinstance(value, dict) else None
    if name is None:
        raise PydanticKnownError("union_tag_not_found", {"discriminator": "'kind'"})
    if name not in KINDS:
        known = ", ".join(map(repr, KINDS))
        raise PydanticKnownError(
            "union_tag_invalid", {"discriminator": "'kind'", "tag": str(name), "expected_tags": known}
        )
    return KINDS[name].settings.model_validate(value)


DoorSettings = Annotated[CommonDoorSettings, PlainValidator(_settings_of_kind)]
