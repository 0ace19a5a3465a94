"""Wibmo (Enstage BankEzy) token service as the sandbox plays it: encrypted both ways, and success is inside.

The three success shapes and "401 Invalid Token Passed" are published; how errors look otherwise is not.
"""

import json
import secrets
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web
from pydantic import SecretStr

from tasks.providers.wibmo import INVALIDATE_TOKEN
from tasks.providers.wibmo.ciphers.config import CipherConfig
from tasks.providers.wibmo.ciphers.schemes import Cipher, CipherError, decrypt_json, make_cipher
from worker.sandbox.config import SandboxConfig
from worker.sandbox.faults import FaultScript
from worker.sandbox.gateway import Reply, StandIn
from worker.sandbox.journal import Journal
from worker.sandbox.store import digest

TEXT: Final = "text/plain"
_SUCCESS: Final[dict[str, dict[str, Any]]] = {
    "flat": {"resCode": 100, "resDesc": "SUCCESS"},
    "nested": {"resCode": 200, "resDesc": "SUCCESS", "data": {"resCode": 100, "resDesc": "SUCCESS"}},
    "text": {"resCode": "TOK200", "resDesc": "SUCCESS"},
}


class WibmoStandIn(StandIn):
    """One token service, under `/token-service`."""

    instances = ("wibmo",)

    def __init__(self, name: str, config: SandboxConfig, journal: Journal, faults: FaultScript) -> None:
        super().__init__(name, config, journal, faults)
        self._cipher = make_cipher(config.cipher)
        self._stranger = _stranger_to(config.cipher)

    @staticmethod
    def settings(url: str, config: SandboxConfig) -> dict[str, Any]:
        """Return the worker's settings of the service."""
        return {"base_url": url, "api_key": config.api_key.get_secret_value(), "cipher": _document(config.cipher)}

    def routes(self) -> list[web.RouteDef]:
        """Return the service's route."""
        return [web.post(f"/{self.name}/token-service/client/server/invalidate/token", self._invalidate)]

    def refusal(self, status: int, request_id: str) -> Reply:
        """Return a plain error of that status."""
        del request_id
        text = "Invalid Token Passed" if status == HTTPStatus.UNAUTHORIZED else HTTPStatus(status).phrase
        return Reply(status, text.encode(), TEXT)

    def malformed(self, *, wrong_key: bool) -> Reply:
        """Return a body that is not encrypted at all, or with another key."""
        return Reply(200, self._success(self._stranger) if wrong_key else b"<html>maintenance</html>", TEXT)

    async def _invalidate(self, request: web.Request) -> web.StreamResponse:
        reference = self._reference_in(await request.read())
        act = partial(self._decided, request, reference)
        return await self.serve(request, INVALIDATE_TOKEN, digest(reference), act)

    def _reference_in(self, body: bytes) -> str:
        try:
            message = decrypt_json(self._cipher, body)
        except CipherError:
            return ""
        reference = message.get("tokenReferenceId")
        return reference if isinstance(reference, str) else ""

    def _decided(self, request: web.Request, reference: str, request_id: str) -> Reply:
        if request.headers.get("X-API-KEY") != self.config.api_key.get_secret_value():
            return self.refusal(HTTPStatus.UNAUTHORIZED, request_id)
        if request.content_type != TEXT:
            return self.refusal(415, request_id)
        return self._revoked(reference, request_id) if reference else self.refusal(400, request_id)

    def _revoked(self, reference: str, request_id: str) -> Reply:
        revoked = self.store.revoke(reference)
        repeated = self.config.wibmo_repeated == "accepted" and self.store.is_known(reference)
        if not revoked and not repeated:
            return self.refusal(HTTPStatus.UNAUTHORIZED, request_id)
        return Reply(200, self._success(self._cipher), TEXT, revoked=revoked)

    def _success(self, cipher: Cipher) -> bytes:
        return cipher.encrypt(json.dumps(_SUCCESS[self.config.wibmo_success]).encode())


def _stranger_to(config: CipherConfig) -> Cipher:
    """Return a cipher of the same scheme with a key of its own, AES-GCM where the scheme has no key of that kind."""
    if config.scheme == "none" or config.is_pem:
        return make_cipher(CipherConfig(scheme="aes-gcm", key=SecretStr(secrets.token_hex(32)), key_encoding="hex"))
    key = SecretStr(secrets.token_hex(len(config.key_bytes)))
    iv = "prefix" if config.iv == "prefix" else "zero"
    return make_cipher(config.model_copy(update={"key": key, "key_encoding": "hex", "iv": iv, "fixed_iv": None}))


def _document(cipher: CipherConfig) -> dict[str, Any]:
    names = ("key", "peer_key", "fixed_iv")
    secrets_ = {name: secret.get_secret_value() for name in names if (secret := getattr(cipher, name)) is not None}
    return cipher.model_dump(exclude_none=True) | secrets_
