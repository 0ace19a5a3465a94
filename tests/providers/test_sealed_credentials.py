"""A sealed token that cannot be opened: the detail says why; whose key is missing waits a little, and dies at last."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from calls import SEALING_KEY, TOKEN, sealed_call
from fake_provider import FakeProvider
from joserfc import jwe
from test_finbourne import finbourne
from test_genesys import genesys

from tasks.call import Attempt, Operation, ProviderCall
from tasks.outcome import Permanent, Reason, Settled, Transient
from tasks.providers.provider import KEY_TRIES, Provider
from tasks.sealing import KeyRing, SealProblem, generate_key, seal

UNKNOWN = {"problem": "unknown_key", "kid": "test-2026"}
MAKES: dict[str, tuple[Operation, Callable[..., Any]]] = {
    "genesys": ("genesys.delete_tokens_me", genesys),
    "finbourne": ("finbourne.invalidate_token", finbourne),
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
    provider._unsealer = ring  # type: ignore[attr-defined]
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


def sealed_by_a_peer(header: dict[str, Any], payload: object) -> str:
    """Seal *payload* as a producer may that does not use our library."""
    known = {"alg": "ECDH-ES+A256KW", "enc": "A256GCM", "kid": "test-2026"}
    registry = jwe.JWERegistry(algorithms=["ECDH-ES+A256KW", "ECDH-ES+A128KW", "A256GCM", "A128GCM", "DEF"])
    return jwe.encrypt_compact(known | header, json.dumps(payload), SEALING_KEY, registry=registry)


GOOD = {"aud": "finbourne", "token": TOKEN}
_SEGMENTS = sealed_by_a_peer({}, GOOD).split(".")
OTHER_KEY_SAME_NAME = seal(TOKEN, "finbourne", generate_key("test-2026"))
BROKEN: dict[str, tuple[str, str, bool]] = {  # the envelope, its problem, whether its header names a key
    "in clear": (TOKEN, "form", False),
    "four segments": (".".join(_SEGMENTS[:4]), "form", True),
    "a line break": (f"{_SEGMENTS[0]}\n.{'.'.join(_SEGMENTS[1:])}", "form", False),
    "too long": (f"{'.'.join(_SEGMENTS)}{'A' * 16_384}", "form", True),
    "header of no JSON": (".".join(["eyJ4", *_SEGMENTS[1:]]), "header", False),
    "zip": (sealed_by_a_peer({"zip": "DEF"}, GOOD), "header", True),
    "alg": (sealed_by_a_peer({"alg": "ECDH-ES+A128KW"}, GOOD), "algorithm", True),
    "enc": (sealed_by_a_peer({"enc": "A128GCM"}, GOOD), "algorithm", True),
    "another key of that name": (OTHER_KEY_SAME_NAME, "tampered", True),
    "changed on its way": (".".join([*_SEGMENTS[:3], _SEGMENTS[3][::-1], _SEGMENTS[4]]), "tampered", True),
    "no aud": (sealed_by_a_peer({}, {"token": TOKEN}), "content", True),
    "a member more": (sealed_by_a_peer({}, GOOD | {"exp": 1}), "content", True),
    "for another instance": (seal(TOKEN, "finbourne-eu", SEALING_KEY), "other_provider", True),
}


@pytest.mark.parametrize("broken", BROKEN)
async def test_what_cannot_be_opened_says_why(
    server: FakeProvider, session: aiohttp.ClientSession, broken: str
) -> None:
    """One reason, and a problem that an operator or a producer can act on; the key it is sealed for; no value."""
    envelope, problem, names_key = BROKEN[broken]
    call = sealed_call("finbourne.invalidate_token", "finbourne").model_copy(update={"jwe": envelope})
    detail = {"problem": problem, **({"kid": "test-2026"} if names_key else {})}
    assert await finbourne(server.url, session).execute(call) == Permanent(Reason.CRYPTO_SEAL, detail)
    assert server.heard == []
    assert {broken[1] for broken in BROKEN.values()} | {"unknown_key", "unfit"} == set(SealProblem)
