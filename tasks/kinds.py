"""Settings of a closed list of kinds, read by the kind that they name."""

from collections.abc import Mapping
from typing import Any, Protocol

from pydantic import BaseModel
from pydantic_core import PydanticKnownError


class HasSettings(Protocol):
    """A kind."""

    @property
    def settings(self) -> type[BaseModel]:
        """The model of its settings."""


def settings_of_kind(value: object, kinds: Mapping[str, HasSettings], common: type[BaseModel]) -> Any:  # noqa: ANN401 - of a kind
    """Read *value* as the settings of the kind that it names; one that is read already, a *common*, stays as it is.

    Its errors are those of a discriminated union.
    """
    if isinstance(value, common):
        return value
    name = value.get("kind") if isinstance(value, dict) else None
    if name is None:
        raise PydanticKnownError("union_tag_not_found", {"discriminator": "'kind'"})
    if name not in kinds:
        known = ", ".join(map(repr, kinds))
        raise PydanticKnownError(
            "union_tag_invalid", {"discriminator": "'kind'", "tag": str(name), "expected_tags": known}
        )
    return kinds[name].settings.model_validate(value)
