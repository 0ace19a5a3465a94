"""The example of docs/providers-http.md is a provider, and the page names every refusal that there is."""

import re
import tomllib
from pathlib import Path

import aiohttp
from calls import API_KEY, OPENER, call
from fake_provider import FakeProvider

from tasks.outcome import CredentialFault, Permanent, Reason, Settled, State, Transient
from tasks.providers import kind_of, make_provider
from tasks.providers.declared import REVOKE_USER, HttpSettings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/providers-http.md").read_text()
LONGEST = 25  # lines


async def test_the_example_does_what_the_page_says(server: FakeProvider, session: aiohttp.ClientSession) -> None:
    """As a newcomer copies it: the key apart, and the host that of a server here."""
    block, _ = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert len([line for line in block.splitlines() if line]) <= LONGEST
    written = tomllib.loads(block)["providers"]["parkdeck"]
    written |= {"base_url": f"{server.url}/v2", "auth": written["auth"] | {"api_key": API_KEY}}
    settings = HttpSettings.model_validate(written)
    provider, made = (
        make_provider("parkdeck", settings, session, OPENER),
        call(REVOKE_USER, "parkdeck", user_id="p-00004711"),
    )
    server.will_answer(200, {"result": "done"})
    lives_on = {"status": "200", "partial": "apps, for up to an hour"}
    assert await provider.execute(made) == Settled(State.ACCEPTED, "200 done", lives_on)
    [heard] = server.heard
    assert (heard.method, heard.raw_path) == ("POST", "/v2/people/p-00004711/logout")
    assert (heard.headers["X-Parkdeck-Key"], heard.body) == (API_KEY, b'{"reason": "access revoked"}')
    server.will_answer(200, {"result": "no_such_person"})
    assert await provider.execute(made) == Permanent(Reason.PROVIDER_NOT_FOUND, {"status": "200"})
    server.will_answer(403)
    assert isinstance(await provider.execute(made), CredentialFault)
    server.will_answer(429, headers={"X-Parkdeck-Wait": "1500"})
    assert await provider.execute(made) == Transient(Reason.HTTP_429, 1.5, {"status": "429"})
    assert [plan.operation for plan in kind_of(settings).plans] == [REVOKE_USER]


def test_the_page_names_every_refusal() -> None:
    """What the code calls a mistake stands in the table, and the other way round."""
    folder = ROOT / "tasks/providers/declared"
    named = {
        name
        for file in folder.glob("*.py")
        for name in re.findall(r"(?:\"|: )([a-z]+(?:_[a-z]+)+): [a-z{]", file.read_text())
    }
    table = PAGE.partition("## What does not load")[2].partition("\n`default`")[0]
    told = {name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert told <= named
    assert named <= told
