"""Our own way into a source's API: by a bearer token that it gave us, or as an OAuth client."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

from pydantic import SecretStr
from yarl import URL

from tasks.doors.pull import PullFailed, answered
from tasks.doors.swept import AccessSettings
from tasks.private_files import is_open_to_others
from tasks.providers.answers import Answer
from tasks.providers.http import Edge
from tasks.providers.kind import is_sendable
from tasks.providers.oauth import Login, client_credentials
from tasks.providers.provider import Request

MAX_SECRET: Final = 16_384  # bytes
_UNAUTHORIZED: Final = 401


class Access:
    """That of one door."""

    def __init__(self, settings: AccessSettings, edge: Edge) -> None:
        self._settings, self._edge = settings, edge
        self._login = Login(edge, self._log_in) if settings.token_url else None

    async def send(self, build: Callable[[SecretStr | None], Request]) -> Answer:
        """Return the answer to the request that *build* makes with our bearer token, if we have one.

        Raises PullFailed for a status that is not 2xx. A token that the source does not know any more is bought anew,
        once.
        """
        deadline = self._edge.deadline()
        if self._login:
            return answered(await self._login.send(build, deadline, lambda each: each.status == _UNAUTHORIZED))
        file = self._settings.access_token_file
        bearer = await asyncio.to_thread(secret_in, file) if file else None
        return answered(await self._edge.send(build(bearer), deadline))

    def _log_in(self) -> Request:
        it = self._settings
        assert it.token_url and it.client_id and it.client_secret_file, "set together"  # noqa: S101, PT018 - by the model
        return client_credentials(URL(it.token_url), it.client_id, secret_in(it.client_secret_file), it.scope)


def authorization(bearer: SecretStr | None) -> dict[str, str]:
    """Return the header that shows *bearer*."""
    return {"Authorization": f"Bearer {bearer.get_secret_value()}"} if bearer else {}


def secret_in(file: Path) -> SecretStr:
    """Return the secret in *file*. Raises PullFailed where it is missing, open to others, or no secret."""
    try:
        is_private = not is_open_to_others(file, file.stat())
        secret = SecretStr(file.read_bytes()[:MAX_SECRET].decode().strip()) if is_private else None
    except (OSError, UnicodeDecodeError):
        secret = None
    if secret is None or not is_sendable(secret):
        raise PullFailed("secret.unreadable")
    return secret
