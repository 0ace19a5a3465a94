"""A scripted provider and an HTTP session for every test that asks."""

from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest
from calls import PLANTED
from fake_provider import FakeProvider, granting, silent

from tasks.providers.http import open_session

pytest.register_assert_rewrite("contract", "network_contract", "trial")


@pytest.fixture
async def server() -> AsyncIterator[FakeProvider]:
    """Return a provider on loopback that grants logins, and answers what the test says."""
    fake = await FakeProvider(silent, granting).start()
    yield fake
    await fake.close()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """Return a session as the worker opens it."""
    async with open_session() as opened:
        yield opened


@pytest.fixture(autouse=True)
def _nothing_planted_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level("DEBUG")
    yield
    assert not [secret for secret in PLANTED if secret in caplog.text]
