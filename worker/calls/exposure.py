"""The metrics of exposure: how long a token lived after its event, and how many lived too long."""

from tasks.records import CallOutcome
from worker.observability import metrics


def observe(settled: CallOutcome, within: float) -> None:
    """Count the exposure that ended with *settled*; later than *within* seconds it is late. Not every call ends one."""
    if settled.exposure_seconds is None:
        return
    exposed = max(0.0, settled.exposure_seconds)
    metrics.EXPOSURE.observe(exposed, settled.provider, settled.event_type)
    metrics.EXPOSURE_LATE.add(settled.provider, settled.event_type, count=exposed > within)
