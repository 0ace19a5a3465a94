"""Servers of RFC 7009 that others wrote: what is revoked there is dead there, by their own introspection (RFC 7662).

The table is the catalogue's, with the endpoints that the server names (RFC 8414): as an operator comes by it.
"""

from collections.abc import AsyncIterator

import pytest
from authorization_servers import Peer, canaille, oidc_provider
from servers import Processes

from tasks.outcome import CredentialFault, Permanent, Settled, State
from tasks.providers.http import Edge, open_session


@pytest.fixture(params=[oidc_provider, canaille], ids=["npm", "pypi"])
async def peer(request: pytest.FixtureRequest, processes: Processes) -> AsyncIterator[Peer]:
    """Start a server that somebody else wrote."""
    async with open_session() as session:
        yield await request.param(processes, Edge(session, 10.0))


async def test_what_is_revoked_there_is_dead_there_and_nothing_else_is_called_so(peer: Peer) -> None:
    """The servers judge; each is started once."""
    await tokens_are_dead(peer)
    await foreign_tokens_live(peer)


async def tokens_are_dead(peer: Peer) -> None:
    """By each method in which our client can show itself; of a dead or unknown token it is a success without proof."""
    for name in peer.clients:
        token, other = await peer.token(name), await peer.token(name)
        assert await peer.lives(token, name)
        states = {token: State.CONFIRMED, "never-given-to-anybody": State.ACCEPTED}
        for each, state in (*states.items(), (token, State.ACCEPTED)):
            outcome = await peer.revoke(each, name)
            assert isinstance(outcome, Settled)
            assert outcome.state is state
        assert not await peer.lives(token, name)
        assert await peer.lives(other, name)


async def foreign_tokens_live(peer: Peer) -> None:
    """The token of somebody else's client is a dead letter, and lives; a wrong secret is our own fault."""
    ours, token = next(iter(peer.clients)), await peer.token("theirs")
    outcome = await peer.revoke(token, ours)
    assert isinstance(outcome, Permanent)
    assert await peer.lives(token, "theirs")
    refused = await peer.revoke(await peer.token(ours), ours, client_secret="planted-another-secret")
    assert isinstance(refused, CredentialFault)
