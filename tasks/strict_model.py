"""The base of models that settings and messages are read into."""

from pydantic import BaseModel, ConfigDict


class StrictModel(BaseModel):
    """Frozen, without unknown members and infinite numbers; its errors show no value, which may be a secret."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False)
