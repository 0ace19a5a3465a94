"""The settings of the exposure's objective: how soon, and how many of the calls."""

from typing import Annotated, Final

from pydantic import AfterValidator, Field

from tasks.strict_model import StrictModel

# Seconds: from a tenth of one to three days, the longest that a call is tried. The metric counts by these bounds and
# the ledger by these and others between them, so that at each of them it is known exactly how many were later.
WITHIN: Final = (0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600, 21_600, 86_400, 259_200)
_CHOICE: Final = ", ".join(f"{seconds:g}" for seconds in WITHIN)


def _is_counted(seconds: float) -> float:
    if seconds not in WITHIN:
        raise ValueError(f"must be one of {_CHOICE}: by these seconds exposures are counted")
    return seconds


class ExposureSettings(StrictModel):
    """The objective: this share of the calls is settled so soon after the event."""

    within: Annotated[float, AfterValidator(_is_counted)] = Field(
        60.0, description=f"Seconds from an event's time in which its calls should be settled: one of {_CHOICE}"
    )
    objective: float = Field(0.99, gt=0, lt=1, description="Share of the calls that should be; the rest is the budget")
