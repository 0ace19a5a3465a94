"""A sealed token whose key is not there: it may come any moment, so the call waits a little, and dies at last."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from calls import SEALING_KEY, sealed_call
from fake_provider import FakeProvider
from test_finbourne import finbourne
from test_genesys import genesys

from tasks.call import Attempt, Operation, ProviderCall
from tasks.outcome import Permanent, Reason, Settled, Transient
from tasks.providers.base import KEY_TRIES, Provider
from tasks.sealing import KeyRing

UNKNOWN = {"problem": "unknown_key"}
MAKES: dict[str, tuple[Operation, Callable[..., Any]]] = {
    "genesys": (Operation.GENESYS_DELETE_TOKENS_ME, genesys),
    "finbourne": (Operation.FINBOURNE_INVALIDATE_TOKEN, finbourne),
}


def tried(call: ProviderCall, times: int) -> ProviderCall:
    """The call after so many tries."""
    for _ in range(times):
        call = call.after(Attempt(at=datetime.now(UTC), reason=Reason.CRYPTO_SEAL))
    return call


@pytest.mark.parametrize("kind", MAKES)
async def test_a_call_waits_a_little_for_its_key(
    server: FakeProvider, session: aiohttp.ClientSession, kind: str
) -> None:
    """Long enough for a folder that is looked at every second; a replay begins anew; nobody is asked."""
    operation, make = MAKES[kind]
    provider: Provider = make(server.url, session)
    ring = KeyRing([], reload=lambda: [SEALING_KEY])
    provider._opener = ring  # type: ignore[attr-defined]
    call = sealed_call(operation, provider.name)
    outcomes = [await provider.execute(tried(call, times)) for times in range(KEY_TRIES)]
    assert outcomes[-1] == Permanent(Reason.CRYPTO_SEAL, UNKNOWN)
    for outcome in outcomes[:-1]:
        assert isinstance(outcome, Transient)
        assert (outcome.reason, outcome.detail) == (Reason.CRYPTO_SEAL, UNKNOWN)
    waited = sum(outcome.retry_after or 0 for outcome in outcomes if isinstance(outcome, Transient))
    assert waited >= 3, "two looks at the folder and the reading"
    assert server.heard == []
    ring.reload()
    server.will_answer(204)
    assert isinstance(await provider.execute(tried(call, 1)), Settled)
