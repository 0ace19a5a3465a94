"""Whom a foreign message means: its subject identifier, as our events have it."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from tasks.events.subjects import SubId

_SUB_ID: Final[TypeAdapter[Any]] = TypeAdapter(SubId)


def subject_of(value: object, *, old_names: bool = False) -> Mapping[str, Any] | None:
    """Return *value* as a subject identifier (RFC 9493); None where it is none.

    With *old_names* the format may be called `subject_type`, as in the drafts before the RFC.
    """
    if not isinstance(value, dict):
        return None
    found = dict(value)
    if old_names and "format" not in found and "subject_type" in found:
        found["format"] = str(found.pop("subject_type")).replace("-", "_")
    try:
        _SUB_ID.validate_python(found)
    except ValidationError:
        return None
    return found
