"""The worker's own application with a shorter window. Started as `celery -A limits_probe worker`."""

import os
from functools import partial

from worker.calls.rate_limits import registry
from worker.calls.rate_limits.window import Limit

if (window := float(os.environ["LIMIT_WINDOW"])) < 60:
    # A machine's hiccups do not shrink with the window, so a permit is good for a few looks, slow ones included.
    registry.Limit = partial(Limit, window=window, permit_ttl=1.5, network_jitter=0.3, look_timeout=0.5)  # type: ignore[assignment,attr-defined]

from worker.celery import app as app  # noqa: PLC0414 - only now: it is made with its limits
