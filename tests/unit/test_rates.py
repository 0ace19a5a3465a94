"""Whose rate limit is whose: by credential, told by nothing that gives it away."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from provider_calls import session_call
from pydantic import SecretStr

from tasks.call import Lane
from tasks.providers import ProviderSettings
from tasks.providers.finbourne import FinbourneSettings
from tasks.providers.genesys import GenesysSettings
from tasks.providers.wibmo import WibmoSettings
from tasks.providers.wibmo.ciphers.config import CipherConfig
from worker.calls.prefetch import Prefetch
from worker.calls.rate_limits import Limit, Limiter, RateLimits, per_minute, registry
from worker.calls.rate_limits.registry import fingerprint
from worker.calls.rate_limits.window import Ask, Grant
from worker.engine.queues import PausingConsumer
from worker.settings.sections import WorkerSettings

KEY = b"subject-key-of-a-unit-test-installation"
API_KEY = "api-key-marker-0123456789"


def genesys(**told: Any) -> GenesysSettings:
    """One organization."""
    given: dict[str, Any] = {
        "region": "eu-central-1",
        "client_id": "one",
        "client_secret": SecretStr("secret-1"),
        **told,
    }
    return GenesysSettings(**given)


def wibmo(**told: Any) -> WibmoSettings:
    """One token service."""
    cipher = CipherConfig(scheme="none", accept_risk="none")
    given: dict[str, Any] = {"base_url": "https://w.example", "api_key": SecretStr(API_KEY), "cipher": cipher, **told}
    return WibmoSettings(**given)


FINBOURNE = FinbourneSettings(domain="acme")


def test_the_limit_is_the_vendors_unless_one_is_set() -> None:
    """0 takes it away."""
    assert [per_minute(each) for each in (genesys(), wibmo(), FINBOURNE)] == [300, None, None]
    assert [per_minute(genesys(rate_limit=each)) for each in (0, 1, 900)] == [None, 1, 900]


def test_instances_with_one_credential_have_one_fingerprint() -> None:
    """Whatever else is different between them; another client, key or place is another one."""
    same = [genesys(), genesys(client_secret=SecretStr("renewed"), not_found="settled", rate_limit=7)]
    others: list[ProviderSettings] = [
        genesys(client_id="two"),
        genesys(region="us-east-1"),
        wibmo(),
        wibmo(api_key=SecretStr("x")),
        FINBOURNE,
    ]
    mine = {fingerprint(KEY, each) for each in same}
    assert len(mine) == 1
    assert len(mine | {fingerprint(KEY, each) for each in others}) == 1 + len(others)


def test_a_fingerprint_tells_nothing_without_the_key() -> None:
    """It is a keyed hash, and stands in the ledger."""
    assert fingerprint(KEY, wibmo()) != fingerprint(b"another" + KEY, wibmo())
    assert API_KEY[:8] not in fingerprint(KEY, wibmo())


def test_limited_queues_are_taken_from_two_seconds_ahead() -> None:
    """With as many places again for calls that are put back. Users' own tokens at Genesys are not limited."""
    providers: dict[str, ProviderSettings] = {
        "g": genesys(),
        "w": wibmo(rate_limit=6),
        "f": FINBOURNE,
        "u": genesys(rate_limit=0),
    }
    prefetch = Prefetch(WorkerSettings(), providers)
    assert {name: prefetch.of_queue(f"revocation.calls.{name}.urgent") for name in providers} == {
        "g": 20,
        "w": 2,
        "f": 50,
        "u": 50,
    }
    assert {name: prefetch.of_queue(f"revocation.calls.{name}.routine") for name in providers} == {
        "g": 250,
        "w": 2,
        "f": 250,
        "u": 250,
    }


def test_a_bulkhead_is_never_wider_than_its_setting() -> None:
    """A high limit changes nothing."""
    taken = []
    prefetch = Prefetch(WorkerSettings(), {"a": genesys(rate_limit=150), "b": genesys(rate_limit=200_000)})

    class Recording(PausingConsumer):
        in_flight = staticmethod(prefetch.of_queue)

        def __init__(self) -> None:
            self.channel = None

        def qos(self, prefetch_count: int, **_: object) -> None:
            taken.append(prefetch_count)
            raise StopIteration

    for name in ("a.urgent", "b.urgent", "c.routine"):
        with pytest.raises(StopIteration):
            Recording()._basic_consume(type("Queue", (), {"name": f"revocation.calls.{name}"}))
    assert taken == [10, 50, 250]


@pytest.mark.parametrize("higher_first", [True, False])
async def test_of_two_limits_of_one_credential_the_lower_holds(
    *, higher_first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two instances with one account share one limiter, whatever each of them says."""
    limits: list[Limit] = []

    class Recording:
        def __init__(self, _name: str, limit: Limit, *_: object) -> None:
            limits.append(limit)

    both = {"g1": genesys(rate_limit=300), "g2": genesys(rate_limit=100)}
    told = dict(sorted(both.items(), reverse=higher_first))
    monkeypatch.setattr(registry, "Limiter", Recording)
    settings: Any = SimpleNamespace(providers=told, subject_key=SecretStr("k" * 32))
    shared, call = RateLimits(settings, cast("Any", None)), session_call("e", "genesys", lane=Lane.URGENT)
    shared.open()
    assert limits == [Limit(100)]
    wide = {"operation": "genesys.delete_token"}
    calls = [call.model_copy(update={"provider": name, **wide}) for name in both]
    assert len({id(shared.of(each)) for each in calls} - {id(None)}) == 1


async def test_a_fault_in_asking_stops_no_call(caplog: pytest.LogCaptureFixture) -> None:
    """A bug is reported; calls go on as without the ledger."""

    async def broken(_: Ask) -> Grant:
        raise ZeroDivisionError

    limiter = Limiter("genesys", Limit(1200, window=3), "w", broken)
    async with asyncio.timeout(10):
        assert await limiter.permit(Lane.ROUTINE) is None
    assert "limit.fault" in caplog.text
    limiter._looking.cancel()
    limiter._fallback.end()
