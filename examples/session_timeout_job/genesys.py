"""After how long without use a session is over: what the Genesys Cloud organization says (GetTokensTimeout)."""

import base64
import json
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from session_timeout_job.settings import Settings

TIMEOUT = 10  # seconds for each answer
MAX_ANSWER = 65_536  # bytes
IDLE_SECONDS = range(300, 28_801)  # what Genesys Cloud takes; anything else would log people out who are at work


class GenesysError(Exception):
    """Genesys Cloud did not say how long a session may be idle, so none is ended."""


class _NoRedirect(HTTPRedirectHandler):
    """A redirect would carry the credential to another host: it is an error like any other status."""

    def redirect_request(self, *_: object) -> None:
        """Follow nowhere."""


def idle_timeout(settings: Settings) -> int | None:
    """Return the organization's idle timeout in seconds, None where it has none. Raises GenesysError."""
    client = f"{settings.genesys_client_id}:{settings.genesys_client_secret}".encode()
    basic = {"Authorization": f"Basic {base64.b64encode(client).decode()}"}
    grant = b"grant_type=client_credentials"
    login = _ask(Request(f"{settings.genesys_login_url}/oauth/token", grant, basic))
    bearer = {"Authorization": f"Bearer {login.get('access_token')}", "Accept": "application/json"}
    return _seconds(_ask(Request(f"{settings.genesys_api_url}/api/v2/tokens/timeout", headers=bearer)))


def _seconds(answer: dict[str, Any]) -> int | None:
    match answer:
        case {"enableIdleTokenTimeout": False}:
            return None
        case {"enableIdleTokenTimeout": True, "idleTokenTimeoutSeconds": int(seconds)} if seconds in IDLE_SECONDS:
            return seconds
    raise GenesysError("its answer holds no idle timeout from 300 to 28800 s")


def _ask(request: Request) -> dict[str, Any]:
    try:
        with build_opener(_NoRedirect).open(request, timeout=TIMEOUT) as answer:
            document = json.loads(answer.read(MAX_ANSWER))
    except HTTPError as error:
        error.close()
        raise GenesysError(f"it answers {error.code}") from None
    except (OSError, HTTPException, ValueError) as error:
        raise GenesysError(f"no answer: {type(error).__name__}") from None
    return document if isinstance(document, dict) else {}
