"""Who sends: the proofs that a door's settings name, all of which must hold before its adapter is asked."""

import base64
import binascii
import hmac
from collections.abc import Iterable
from typing import Any, Final

from aiohttp import web

from tasks.doors.settings import CommonDoorSettings
from worker.doors.secrets import SecretLines

_SCHEME: Final = "bearer "
_PREFIX: Final = "sha256="
_NAMES: Final = frozenset({"DNS", "URI"})  # of a certificate's subject alternative names


class Proofs:
    """Those of one door."""

    def __init__(self, settings: CommonDoorSettings) -> None:
        self._settings = settings
        self._bearer = SecretLines(settings.bearer_file) if settings.bearer_file else None
        self._hmac = SecretLines(settings.hmac_file) if settings.hmac_file else None

    def hold_of_head(self, request: web.BaseRequest) -> bool:
        """Whether those hold that need no body: asked before a stranger may send one."""
        if self._bearer and not _shows(request, self._bearer.now()):
            return False
        names = self._settings.client_names
        return not names or not names.isdisjoint(_names_of(request))

    def hold_of_body(self, request: web.BaseRequest, body: bytes) -> bool:
        """Whether the others hold, for *body*."""
        written = request.headers.get(self._settings.hmac_header, "")
        return self._hmac is None or _is_signed(written, body, self._hmac.now())


def _shows(request: web.BaseRequest, secrets: Iterable[bytes]) -> bool:
    written = request.headers.get("Authorization", "")
    if not written.lower().startswith(_SCHEME):
        return False
    shown = written[len(_SCHEME) :].strip().encode(errors="surrogateescape")
    return any([hmac.compare_digest(shown, each) for each in secrets])  # noqa: C419 - all, whichever it is


def _is_signed(written: str, body: bytes, secrets: Iterable[bytes]) -> bool:
    code = _code(written.strip().removeprefix(_PREFIX))
    macs = [hmac.digest(each, body, "sha256") for each in secrets]
    return code is not None and any([hmac.compare_digest(code, each) for each in macs])  # noqa: C419 - likewise


def _code(text: str) -> bytes | None:
    """Return the bytes of an HMAC-SHA-256 that *text* spells; None for anything else."""
    try:
        return bytes.fromhex(text) if len(text) == 64 else base64.b64decode(text, validate=True)  # noqa: PLR2004 - 32 bytes
    except (ValueError, binascii.Error):
        return None


def _names_of(request: web.BaseRequest) -> frozenset[str]:
    """Names in the client's certificate, which the TLS layer has verified."""
    socket: Any = request.transport.get_extra_info("ssl_object") if request.transport else None
    certificate = socket.getpeercert() if socket else None
    return frozenset(name for kind, name in (certificate or {}).get("subjectAltName", ()) if kind in _NAMES)
