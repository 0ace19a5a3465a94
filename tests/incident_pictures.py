"""Pictures of the console while the incident is played: real Chromium, in both themes and at both widths."""

import base64
import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_urlsafe
from typing import Any, Final, Literal
from urllib.parse import urljoin

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright
from servers import free_port, wait_until
from system import System

from worker.operations.passwords import hashed

FOLDER: Final = Path(__file__).parents[1] / "docs/pictures"
WIDTHS: Final = {"wide": 1280, "narrow": 390}
HEIGHT: Final = 1100  # of the tallest picture, in CSS pixels
QUALITY: Final = 75  # of WebP, in percent: its text is sharp, and a picture has some 40 kB
PERSON: Final = "oncall"

Size = Literal["wide", "narrow"]
Theme = Literal["light", "dark"]
Act = Callable[[Page], None]


def console_settings(home: Path, password: str) -> dict[str, Any]:
    """The settings of a console that knows one operator, who was added a minute ago."""
    users = home / "users.json"
    since = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    operator = {"role": "operator", "known_as": [], "password": hashed(password), "since": since}
    users.write_text(json.dumps({"users": {PERSON: operator}}))
    users.chmod(0o600)
    return {"port": free_port(), "users_file": str(users)}


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture: what it shows, *words* for whoever does not see it; of a page, or of where *act* leads from there."""

    words: str
    path: str
    size: Size = "wide"
    theme: Theme = "light"
    act: Act | None = None


def pressing(button: str, then: str = "") -> Act:
    """Press the *button* whose name begins so; go to the page at *then*, if any."""

    def act(page: Page) -> None:
        page.get_by_role("button", name=re.compile(f"^{button}")).click()
        page.wait_for_load_state()
        if then:
            page.goto(urljoin(page.url, then))

    return act


def finding(person: str) -> Act:
    """Look *person* up."""

    def act(page: Page) -> None:
        page.locator("#find").fill(person)
        pressing("Find")(page)

    return act


class Pictures:
    """A tab in which the operator of the incident is signed in."""

    def __init__(self, page: Page, url: str) -> None:
        self._page, self._url = page, url

    def take(self, name: str, shot: Shot, path: str) -> None:
        """Write the picture *name*, from the page at *path*; what is below its fold is left out."""
        page, width = self._page, WIDTHS[shot.size]
        page.emulate_media(color_scheme=shot.theme)
        page.set_viewport_size(ViewportSize(width=width, height=HEIGHT))
        page.goto(f"{self._url}{path}")
        if shot.act is not None:
            shot.act(page)
        below = page.evaluate("document.querySelector('aside.command').getBoundingClientRect().bottom")
        clip = {"x": 0, "y": 0, "width": width, "height": min(HEIGHT, int(below) + 24), "scale": 1}
        asked = {"format": "webp", "quality": QUALITY, "clip": clip}
        taken = page.context.new_cdp_session(page).send("Page.captureScreenshot", asked)
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / f"{name}.webp").write_bytes(base64.b64decode(taken["data"]))


@contextmanager
def taking(system: System, password: str) -> Iterator[Pictures]:
    """Start the console of *system*, and sign its operator in with *password*."""
    process = system.processes.start("revoker", "console", env=system.env, name="console")
    wait_until(lambda: "console.listening" in process.output, 30, "the console")
    url = f"http://127.0.0.1:{system.document['console']['port']}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield Pictures(_signed_in(browser, url, password), url)
        browser.close()


def new_password() -> str:
    """A password for one play."""
    return token_urlsafe(24)


def _signed_in(browser: Browser, url: str, password: str) -> Page:
    page = browser.new_page()
    page.goto(url)
    page.get_by_label("User name").fill(PERSON)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Sign out").wait_for()
    return page
