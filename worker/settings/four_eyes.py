"""The settings of four eyes: what one operator plans and another one runs."""

from typing import Final

from pydantic import Field

from tasks.strict_model import StrictModel

MOST: Final = 1_000_000


class FourEyesSettings(StrictModel):
    """From how many on a second operator runs what a first one planned; unset: one is enough."""

    release: int | None = Field(
        None,
        ge=1,
        le=MOST,
        description="Held-back events from which on another operator than who planned their release runs it",
    )
    replay: int | None = Field(
        None,
        ge=1,
        le=MOST,
        description="Dead letters from which on another operator than who planned their replay runs it",
    )
    discard: int | None = Field(
        None,
        ge=1,
        le=MOST,
        description="Dead letters or held-back events from which on another operator than who planned it discards them",
    )
