"""Wibmo (Enstage BankEzy) token service: revoke one session by its token reference id, both ways encrypted."""

import json
from typing import Final, Literal

import aiohttp
from pydantic import Field, SecretStr, StrictInt, StrictStr

from tasks.call import Operation, ProviderCall
from tasks.outcome import Outcome, Permanent, Reason, Transient
from tasks.providers.answers import Answer, Verdict, status_table
from tasks.providers.base import MASK, BaseUrl, CommonSettings, HeaderSecret, Kind, Request, endpoint
from tasks.providers.ciphers import Cipher, CipherConfig, CipherError, decrypt_json, make_cipher
from tasks.providers.edge import Edge

# A 401 ("Invalid Token Passed") cannot be told from a refused API key: it must never pass for a revoked token.
INVALIDATE: Final = status_table({401: Verdict.FAULT, 403: Verdict.FAULT})

KIND: Final = Kind(
    name="wibmo",
    session_operation=Operation.WIBMO_INVALIDATE_TOKEN,
    session_credential="token_reference_id",
    user_operation=None,
    valid_user_id=lambda _: False,
    worker_operations=frozenset({Operation.WIBMO_INVALIDATE_TOKEN}),
)


class WibmoSettings(CommonSettings):
    """One token service, the key it knows us by, and the cipher agreed with the vendor (it is not published)."""

    kind: Literal["wibmo"] = "wibmo"
    base_url: BaseUrl = Field(description="Everything before /token-service")
    api_key: HeaderSecret = Field(description="Sent as X-API-KEY")
    cipher: CipherConfig = Field(description="How request and answer are encrypted")
    success_codes: frozenset[StrictInt | StrictStr] = Field(
        frozenset({100, 200, "100", "200", "TOK200"}), min_length=1, description="The resCode values that mean success"
    )

    @property
    def account(self) -> tuple[str, ...]:
        """The API key."""
        return (self.base_url, self.api_key.get_secret_value())


class Wibmo:
    """One Wibmo token service."""

    def __init__(self, name: str, settings: WibmoSettings, session: aiohttp.ClientSession) -> None:
        self.name = name
        self._settings = settings
        self._cipher: Cipher = make_cipher(settings.cipher)
        self._edge = Edge(session, settings.timeout)

    async def execute(self, call: ProviderCall) -> Outcome:
        """Make *call* once, encrypted afresh. Raises ValueError for an operation of another kind."""
        reference = _reference(call)
        if reference is None:
            return Permanent(Reason.ROUTE_UNRESOLVABLE, {"missing": "token_reference_id"})
        plaintext = json.dumps({"tokenReferenceId": reference.get_secret_value()}).encode()
        try:
            body = self._cipher.encrypt(plaintext)
        except CipherError:
            return Permanent(Reason.CRYPTO_CIPHER)
        request = self._invalidate(self._settings.api_key, body, reference)
        answer = await self._edge.send(request, self._edge.deadline())
        return answer if isinstance(answer, Transient) else self._meaning(answer)

    def preview(self, call: ProviderCall) -> Request:
        """Return the very request `execute` would send, masked. Raises ValueError for another's operation."""
        _reference(call)
        return self._invalidate(MASK, MASK.get_secret_value().encode())

    async def check(self) -> Outcome:
        """Whether the service can be reached. Whether it accepts our key only a revocation tells."""
        request = Request("HEAD", endpoint(self._settings.base_url, "token-service"), {"Accept": "*/*"})
        answer = await self._edge.send(request, self._edge.deadline())
        return answer if isinstance(answer, Transient) else answer.reachable()

    def _invalidate(self, api_key: SecretStr, body: bytes, *secrets: SecretStr) -> Request:
        url = endpoint(self._settings.base_url, "token-service", "client", "server", "invalidate", "token")
        headers = {"Accept": "*/*", "Content-Type": "text/plain", "X-API-KEY": api_key.get_secret_value()}
        return Request("POST", url, headers, body, (api_key, *secrets))

    def _meaning(self, answer: Answer) -> Outcome:
        if not answer.is_success:
            return answer.outcome(INVALIDATE.get(answer.status, Verdict.RETRY), {})
        return self._inside(answer)

    def _inside(self, answer: Answer) -> Outcome:
        """Success is inside: the resCode and, where there is one, the inner one. Whatever cannot be read is one case.

        A readable refusal is a dead letter: the vendor publishes no codes, so none is known to heal.
        """
        codes = self._res_codes(answer.body)
        if not codes:
            return answer.bad_reply({})
        told = dict(zip(("res_code", "data_res_code"), codes, strict=False))
        if all(self._is_success(code) for code in codes):
            return answer.outcome(Verdict.ACCEPTED, told, f"{answer.status} resCode")
        return Permanent(Reason.PROVIDER_RESCODE, answer.detail(told))

    def _res_codes(self, body: bytes) -> tuple[object, ...]:
        try:
            members = decrypt_json(self._cipher, body)
        except CipherError:
            return ()
        data = members.get("data")
        inner = (data["resCode"],) if isinstance(data, dict) and "resCode" in data else ()
        return (members["resCode"], *inner) if "resCode" in members else ()

    def _is_success(self, code: object) -> bool:
        return type(code) in {int, str} and code in self._settings.success_codes


def _reference(call: ProviderCall) -> SecretStr | None:
    if call.operation is not Operation.WIBMO_INVALIDATE_TOKEN:
        raise ValueError(f"{call.operation} is no operation of Wibmo")
    return SecretStr(call.token_reference_id) if call.token_reference_id else None
