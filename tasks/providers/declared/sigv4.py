"""Requests signed for Amazon Web Services: Signature Version 4.

As https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html says: a canonical request,
its digest in a string to sign, and a key that is derived from secret, day, region and service.
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import reduce
from typing import Final
from urllib.parse import parse_qsl, quote

from tasks.providers.declared.auth import AwsSigV4
from tasks.providers.provider import Request

ALGORITHM: Final = "AWS4-HMAC-SHA256"
_STAMP: Final = "%Y%m%dT%H%M%SZ"
_SIGNED: Final = frozenset({"content-type", "host"})  # and Amazon's own; others may be changed on their way
_OWN: Final = "x-amz-"
_UNRESERVED: Final = "-_.~"


class AwsSigner:
    """Signs requests for one service of one region, with one pair of keys."""

    def __init__(self, auth: AwsSigV4) -> None:
        self._auth = auth
        self._secrets = (auth.secret_access_key, *((auth.session_token,) if auth.session_token else ()))

    def signed(self, request: Request, at: datetime | None = None) -> Request:
        """Return *request* with its signature of the moment *at*, which the service takes for a few minutes."""
        stamp, token = (at or datetime.now(UTC)).strftime(_STAMP), self._auth.session_token
        more = {"X-Amz-Security-Token": token.get_secret_value()} if token else {}
        headers = {**request.headers, "X-Amz-Date": stamp, **more}
        named = {name.lower(): value for name, value in headers.items()} | {"host": request.url.host_port_subcomponent}
        shown = {name: value for name, value in named.items() if name in _SIGNED or name.startswith(_OWN)}
        told = {"Authorization": self.authorization(request, shown, stamp)}
        return replace(request, headers=headers | told, secrets=(*request.secrets, *self._secrets))

    def authorization(self, request: Request, shown: Mapping[str, str | None], stamp: str) -> str:
        """Return the header that signs *request* with its headers *shown*, by their names in lower case."""
        scope = "/".join((stamp[:8], self._auth.region, self._auth.service, "aws4_request"))
        digest = hashlib.sha256(_canonical(request, shown).encode()).hexdigest()
        secret = f"AWS4{self._auth.secret_access_key.get_secret_value()}".encode()
        signature = _mac(reduce(_mac, scope.split("/"), secret), f"{ALGORITHM}\n{stamp}\n{scope}\n{digest}").hex()
        credential, names = f"{self._auth.access_key_id}/{scope}", ";".join(sorted(shown))
        return f"{ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}"


def _canonical(request: Request, shown: Mapping[str, str | None]) -> str:
    """Return what is signed. A path is coded once more than it is sent, as every service but S3 wants it."""
    path = quote(request.url.raw_path, safe=f"/{_UNRESERVED}")
    query = _sorted(parse_qsl(request.url.raw_query_string, keep_blank_values=True))
    headers = "".join(f"{name}:{' '.join((shown[name] or '').split())}\n" for name in sorted(shown))
    body = hashlib.sha256(request.body or b"").hexdigest()
    return "\n".join((request.method, path, query, headers, ";".join(sorted(shown)), body))


def _sorted(query: Iterable[tuple[str, str]]) -> str:
    """Return *query*, coded, and sorted as it is coded."""
    pairs = sorted((quote(name, safe=_UNRESERVED), quote(value, safe=_UNRESERVED)) for name, value in query)
    return "&".join(f"{name}={value}" for name, value in pairs)


def _mac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
