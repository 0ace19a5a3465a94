"""Whom a foreign message means: its subject identifier, as our events have it."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from tasks.events.subjects import SubId

_SUB_ID: Final[TypeAdapter[Any]] = TypeAdapter(SubId)
_LONGEST_MAIL: Final = 254  # characters, as in the event contract

_PARTS: Final = frozenset({"user", "device", "session", "application", "tenant", "org_unit", "group"})


def subject_of(value: object, *, old_names: bool = False) -> Mapping[str, Any] | None:
    """Return *value* as a subject identifier (RFC 9493); None where it is none.

    With *old_names* it may be written as in the drafts before the RFC.
    """
    found = of_draft(value) if old_names else value
    try:
        _SUB_ID.validate_python(found)
    except ValidationError:
        return None
    return dict(found) if isinstance(found, dict) else None


def of_draft(value: object) -> object:
    """Return the subject *value* of a draft as it is written today.

    The drafts called the format `subject_type`, wrote it with hyphens, and had complex subjects without one.
    """
    if not isinstance(value, dict):
        return value
    found = {name: of_draft(each) for name, each in value.items()}
    if "format" not in found and "subject_type" in found:
        found["format"] = str(found.pop("subject_type")).replace("-", "_")
    elif "format" not in found and found.keys() & _PARTS:
        found["format"] = "complex"
    return found


def of_person(user_name: str, external_id: str | None, issuer: str | None) -> Mapping[str, Any]:
    """Return the subject of a person by every name that a directory gave: its own of the user, and *issuer*'s."""
    names: list[dict[str, str]] = []
    if external_id and issuer:
        names.append({"format": "iss_sub", "iss": issuer, "sub": external_id})
    is_mail = "@" in user_name.strip("@") and len(user_name) <= _LONGEST_MAIL
    names.append({"format": "email", "email": user_name} if is_mail else {"format": "opaque", "id": user_name})
    return names[0] if len(names) == 1 else {"format": "aliases", "identifiers": names}
