"""Provider calls and planted secrets for the tests of the providers."""

from datetime import UTC, datetime, timedelta

from tasks.call import Lane, Operation, ProviderCall
from tasks.sealing import KeyRing, generate_key, seal

USER_ID = "4f1d6a0e-8d5b-4b7e-9b0c-2a1f0d6c9e77"
TOKEN = "user-bearer-PLANTED-7731-do-not-tell"
WORKER_BEARER = "worker-bearer-0001"
CLIENT_SECRET = "client-secret-PLANTED-0815"
API_KEY = "api-key-PLANTED-4711"
REFERENCE = "reference-PLANTED-sdjfsjdgfljhasgdf"
PLANTED = (TOKEN, WORKER_BEARER, CLIENT_SECRET, API_KEY, REFERENCE)

SEALING_KEY = generate_key("test-2026")
OPENER = KeyRing([SEALING_KEY])


def call(operation: Operation, provider: str, **credential: str | None) -> ProviderCall:
    """Return a call of *operation* at instance *provider*."""
    now = datetime.now(UTC)
    return ProviderCall(
        call_id="0b6f2a3c-1d64-5a0e-9a53-0f2b7f6c2d11",
        source="urn:test",
        event_id="e1",
        event_type="user.disabled",
        occurred_at=now,
        deadline=now + timedelta(hours=1),
        provider=provider,
        operation=operation,
        lane=Lane.URGENT,
        subject="al…m",
        **credential,
    )


def sealed_call(operation: Operation, provider: str, token: str = TOKEN) -> ProviderCall:
    """Return a call that carries *token*, sealed for *provider*."""
    return call(operation, provider, jwe=seal(token, provider, SEALING_KEY))
