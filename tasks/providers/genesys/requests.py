"""The requests of Genesys Cloud's token API (developer.genesys.cloud, Platform API, resource Tokens)."""

import json
import re
from collections.abc import Mapping
from typing import Final

from pydantic import SecretStr
from yarl import URL

from tasks.providers.provider import Request, endpoint

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
_SIBLINGS: Final = frozenset({"", ".", "..", "me", "timeout"})  # /tokens/<these> are other endpoints
_KEEP_IDLE_TIMER: Final = "preserveIdleTTL=true"  # a plain GET /tokens/me would prolong the session it asks about


def is_user_id(value: str) -> bool:
    """Whether *value* may stand in `/tokens/{userId}`: a UUID, and none of the endpoint's siblings by any spelling."""
    return value not in _SIBLINGS and _UUID.fullmatch(value) is not None


class TokenRequests:
    """Builds the requests below `/api/v2/tokens`, each with the bearer token it is given."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url

    def delete_token(self, user_id: str | None, bearer: SecretStr) -> Request:
        """DeleteToken: every token of the user dies. Raises ValueError where *user_id* is no UUID."""
        if user_id is None or not is_user_id(user_id):
            raise ValueError("user_id must be a UUID")
        return _request("DELETE", self._url(user_id), bearer)

    def delete_tokens_me(self, bearer: SecretStr) -> Request:
        """DeleteTokensMe: *bearer* itself dies."""
        return _request("DELETE", self._url("me"), bearer)

    def get_tokens_me(self, bearer: SecretStr) -> Request:
        """GetTokensMe, without resetting the session's idle timer."""
        return _request("GET", self._url("me", query=_KEEP_IDLE_TIMER), bearer)

    def head_tokens_me(self, bearer: SecretStr) -> Request:
        """HeadTokensMe."""
        return _request("HEAD", self._url("me"), bearer)

    def get_timeout(self, bearer: SecretStr) -> Request:
        """GetTokensTimeout."""
        return _request("GET", self._url("timeout"), bearer)

    def put_timeout(self, bearer: SecretStr, document: Mapping[str, object]) -> Request:
        """PutTokensTimeout."""
        return _request("PUT", self._url("timeout"), bearer, json.dumps(document).encode())

    def _url(self, last: str, query: str = "") -> URL:
        return endpoint(self._base_url, "api", "v2", "tokens", last, query=query)


def _request(method: str, url: URL, bearer: SecretStr, body: bytes | None = None) -> Request:
    headers = {
        "Accept": "application/json",
        "Authorization": f"Bearer {bearer.get_secret_value()}",
        "Content-Type": "application/json",
    }
    return Request(method, url, headers, body, (bearer,))
