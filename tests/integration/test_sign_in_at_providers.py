"""People sign in at OpenID providers that others made, in Chromium, and are known at the console by what these say."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, Page, expect
from servers import Daemon, Processes, free_port, wait_until
from system import System

pytest_plugins = ["chromium_fixtures"]

CLIENT, SECRET = "revoker-console", "planted-client-secret-0123456789"
TESTS = Path(__file__).parents[1]
NPM = (str(TESTS.parent / ".venv/bin/node"), str(TESTS / "node/openid_provider.mjs"))
PYPI = (str(TESTS / "openid/.venv/bin/oidc-provider-mock"), "--require-nonce", "true")
ROLES = {"operators": "operator", "viewers": "viewer"}
PEOPLE = {"operator": "operator", "viewer": "viewer", "stranger": ""}  # and their roles; their group is in the plural


@dataclass(frozen=True, slots=True)
class Console:
    """Where it is, where its people sign in, and how they do that there."""

    url: str
    provider: Daemon

    def sign_in(self, page: Page, name: str) -> None:
        """Go to a page, and through those of the provider as *name*."""
        page.goto(f"{self.url}/providers")
        page.get_by_role("link", name="Sign in with your organisation").click()
        if self.provider.name.endswith("npm"):
            page.get_by_placeholder("Enter any login").fill(name)
            page.get_by_placeholder("and password").fill("any")
            page.get_by_role("button", name="Sign-in").click()
            page.get_by_role("button", name="Continue").click()
        else:
            page.get_by_placeholder("sub").fill(name)
            page.get_by_role("button", name="Authorize").click()


@pytest.fixture(params=["npm", "pypi"])
def console(request: pytest.FixtureRequest, tmp_path: Path, processes: Processes) -> Iterator[Console]:
    """A console at which people sign in at `oidc-provider` of npm, or at `oidc-provider-mock` of PyPI."""
    port, its_port = free_port(), free_port()
    url, issuer = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{its_port}"
    if request.param == "npm":
        provider = processes.start(*NPM, str(its_port), CLIENT, SECRET, f"{url}/sign-in/callback", name="oidc-npm")
    else:
        users = [("--user-claims", json.dumps({"sub": name, **claims(name)})) for name in PEOPLE]
        provider = processes.start(*PYPI, "--port", str(its_port), *chain.from_iterable(users), name="oidc-pypi")
    wait_until(lambda: answers(f"{issuer}/.well-known/openid-configuration"), 30, "the OpenID provider")
    oidc = {"issuer": issuer, "client_id": CLIENT, "client_secret": SECRET, "role_claim": "groups", "roles": ROLES}
    oidc["scopes"] = "openid email profile"
    settings = {"port": port, "public_url": url, "users_file": str(tmp_path / "users.json"), "oidc": oidc}
    system = System(tmp_path / "system", f"embedded:///{tmp_path / 'broker.sqlite3'}", processes, console=settings)
    process = processes.start("revoker", "console", env=system.env, name="console")
    wait_until(lambda: "console.listening" in process.output, 30, "the console")
    yield Console(url, provider)
    system.close()


def claims(name: str) -> dict[str, object]:
    """What a provider says of somebody."""
    return {"email": f"{name}@example.com", "email_verified": True, "groups": [f"{name}s"]}


def answers(url: str) -> bool:
    """Whether anybody answers there."""
    try:
        with urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_people_sign_in_at_providers_that_others_made(console: Console, chromium: Browser) -> None:
    """Code flow, PKCE, state, nonce: the role is that of their group; whoever has none of them is told so."""
    for name, role in PEOPLE.items():
        page = chromium.new_context().new_page()
        console.sign_in(page, name)
        if role:
            expect(page.get_by_role("heading", level=1)).to_have_text("Providers")
            expect(page.locator(".who")).to_contain_text(f"{name}@example.com {role}")
        else:
            expect(page.get_by_role("alert")).to_be_visible()
            page.goto(f"{console.url}/providers")
            expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
        page.context.close()
