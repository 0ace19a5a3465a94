"""Provider calls, as the intake would publish them for events that end sessions."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from tasks.call import Lane, ProviderCall
from tasks.providers import KINDS


def session_call(event_id: str, provider: str = "finbourne", **members: Any) -> ProviderCall:
    """A routine call for a session at *provider*, whose name begins with its kind; *members* say what is different."""
    now, plan = datetime.now(UTC), KINDS[provider.partition("-")[0]].session
    assert plan is not None
    usual = {
        "call_id": str(uuid.uuid4()),
        "source": "urn:test",
        "event_type": "session.ended",
        "occurred_at": now,
        "deadline": now + timedelta(hours=1),
        "operation": plan.operation,
        "lane": Lane.ROUTINE,
        "subject": "a***@example.com",
    }
    return ProviderCall(event_id=event_id, provider=provider, **{**usual, **members})
