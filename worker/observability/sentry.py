"""Error reports that hold no token: no frame locals, no message bodies, and a last filter that fails closed.

sentry-sdk's default sends the arguments of a failing task through the frames' local variables, and its event
scrubber does not catch them; so the data is not collected in the first place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sentry_sdk
from sentry_sdk.integrations.celery import CeleryIntegration
from sentry_sdk.integrations.logging import LoggingIntegration

from worker.observability.logs import redact

if TYPE_CHECKING:
    from worker.settings import Settings


def configure(settings: Settings) -> None:
    """Report errors to the configured DSN; without one, nothing is sent anywhere."""
    if settings.sentry_dsn is None:
        return
    sentry_sdk.init(
        dsn=settings.sentry_dsn.get_secret_value(),
        environment=settings.environment,
        include_local_variables=False,
        include_source_context=False,
        send_default_pii=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        traces_sample_rate=0.0,
        auto_session_tracking=False,
        shutdown_timeout=2,
        default_integrations=False,
        integrations=[CeleryIntegration(), LoggingIntegration(level=None, event_level=40)],
        before_send=before_send,
    )


def before_send(event: Any, _hint: Any) -> Any:  # noqa: ANN401 - sentry-sdk's own types are internal
    """*event* with everything blanked that looks like a credential; nothing at all where that fails."""
    try:
        event.pop("extra", None) if not isinstance(event.get("extra"), dict) else None
        for exception in event.get("exception", {}).get("values", []):
            exception.pop("value", None)
            for frame in exception.get("stacktrace", {}).get("frames", []):
                frame.pop("vars", None)
        return redact(None, "", event)
    except Exception:  # noqa: BLE001 - whatever goes wrong here, an unfiltered event must not leave
        return None
