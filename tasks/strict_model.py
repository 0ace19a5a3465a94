"""The base of models that settings and messages are read into."""

from typing import Final

from pydantic import BaseModel, ConfigDict, JsonValue

ASKED: Final[dict[str, JsonValue]] = {"asked": True}
"""The `json_schema_extra` of a field that `revoker init` asks for, though it may be left out."""


class StrictModel(BaseModel):
    """Frozen, without unknown members and infinite numbers; its errors show no value, which may be a secret."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False)
