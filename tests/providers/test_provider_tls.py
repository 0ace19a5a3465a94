"""TLS to a provider: whoever is not it hears no byte of a request, and the call is tried again later."""

from pathlib import Path

import pytest
from calls import TOKEN
from certificates import Authority, server_side
from fake_provider import FakeProvider, granting, silent
from pydantic import SecretStr
from tls_door import HERE, WRONG, Door, good
from yarl import URL

from tasks.outcome import Reason, Transient
from tasks.providers.answers import Answer
from tasks.providers.http import Edge, open_session
from tasks.providers.provider import Request
from tasks.tls import TlsSettings


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """An authority of the test's own."""
    return Authority(tmp_path / "authority")


async def answer(url: str, tls: TlsSettings) -> Answer | Transient:
    """What becomes of a request with a planted token."""
    request = Request("DELETE", URL(url), {"Authorization": f"Bearer {TOKEN}"}, None, (SecretStr(TOKEN),))
    async with open_session(tls=tls) as session:
        edge = Edge(session, 5)
        return await edge.send(request, edge.deadline())


@pytest.mark.parametrize("wrong", WRONG)
async def test_whoever_is_not_the_provider_hears_nothing(authority: Authority, wrong: str) -> None:
    """Neither the token nor anything else; where it misses our certificate we are told so, not that it hung up."""
    with Door(WRONG[wrong](authority)) as door:
        got = await answer(f"https://{HERE}:{door.port}/", TlsSettings(ca_file=authority.file))
    assert got == Transient(Reason.NET_TLS)
    assert (door.met, bytes(door.heard)) == (1, b"")


async def test_the_provider_hears_the_request(authority: Authority) -> None:
    """So what the others did not hear would have been heard."""
    with Door(good(authority)) as door:
        got = await answer(f"https://{HERE}:{door.port}/", TlsSettings(ca_file=authority.file))
    assert got == Transient(Reason.NET_CONNECT)
    assert TOKEN.encode() in door.heard


async def test_a_provider_that_asks_for_our_certificate_is_shown_it(authority: Authority) -> None:
    """Ours has one of the authority; whoever has none is not served."""
    server = await FakeProvider(silent, granting).start(server_side(authority.issue(HERE), authority.file))
    server.will_answer(204)
    mine = authority.issue("worker")
    known = TlsSettings(ca_file=authority.file, certificate_file=mine, key_file=mine)
    assert isinstance(await answer(server.url, known), Answer)
    assert isinstance(await answer(server.url, TlsSettings(ca_file=authority.file)), Transient)
    await server.close()
    assert len(server.heard) == 1
