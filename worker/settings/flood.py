"""How much a source may hit, as the operator says it."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict, Field

MOST: Final = 1_000_000_000  # people: as good as no limit, and no more


class FloodSettings(BaseModel):
    """How many people one source may hit before the rest waits for an operator.

    Timeout jobs end thousands of sessions at once, each with the session's own credential. A user.disabled needs none
    and locks somebody out: directories disable people one by one, fifty of one source in ten minutes are a mistake.
    Counted is what is hit: somebody with accounts at two instances is two.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False)

    window: float = Field(600.0, ge=1, le=86_400, description="Seconds in which distinct people are counted")
    disabled: int = Field(
        50,
        ge=1,
        le=MOST,
        description="People whom one source may disable in the window; the rest waits for an operator",
    )
    disabled_of_all: int = Field(200, ge=1, le=MOST, description="People likewise, of all sources together")
    ended: int = Field(20_000, ge=1, le=MOST, description="People whose sessions one source may end in the window")
    ended_of_all: int = Field(50_000, ge=1, le=MOST, description="People likewise, of all sources together")
    reserve: float = Field(
        60.0, ge=1, le=86_400, description="Seconds between two user.disabled that pass while others are held back"
    )
