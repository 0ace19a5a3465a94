"""Wibmo (Enstage BankEzy) token service: revoke one session by its token reference id, both ways encrypted."""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

import aiohttp
from pydantic import SecretStr

from tasks.call import ProviderCall
from tasks.outcome import CredentialFault, Outcome, Permanent, Reason, Transient
from tasks.providers import contradictions
from tasks.providers.answers import Answer, StatusMeaning, status_table
from tasks.providers.http import Edge
from tasks.providers.provider import MASK, Request, endpoint
from tasks.providers.wibmo.ciphers.schemes import Cipher, CipherError, decrypt_json, make_cipher
from tasks.providers.wibmo.kind import INVALIDATE_TOKEN, WibmoSettings
from tasks.sealing import Unsealer

# A 401 ("Invalid Token Passed") by itself may as well be a refused API key: other calls decide which of them it is.
# Of the 2xx the vendor publishes 200 alone.
UNAUTHORIZED: Final = 401
INVALIDATE: Final = status_table({UNAUTHORIZED: StatusMeaning.FAULT, 403: StatusMeaning.FAULT}, success={200})

_CODE: Final = "resCode"
_DATA: Final = "data"
_DESCRIPTION: Final = "resdesc"  # as _folded
_SUCCESS: Final = re.compile(r"(?<![a-z])(success(ful(ly)?)?|ok)(?![a-z])", re.IGNORECASE)


class Wibmo:
    """One Wibmo token service."""

    def __init__(
        self,
        name: str,
        settings: WibmoSettings,
        session: aiohttp.ClientSession,
        _: Unsealer | None = None,  # its events bring no sealed token
    ) -> None:
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
        return answer if isinstance(answer, Transient) else answer.reachability_outcome()

    def _invalidate(self, api_key: SecretStr, body: bytes, *secrets: SecretStr) -> Request:
        url = endpoint(self._settings.base_url, "token-service", "client", "server", "invalidate", "token")
        headers = {"Accept": "*/*", "Content-Type": "text/plain", "X-API-KEY": api_key.get_secret_value()}
        return Request("POST", url, headers, body, (api_key, *secrets))

    def _meaning(self, answer: Answer) -> Outcome:
        if answer.status == UNAUTHORIZED and (answer.is_page or answer.has_challenge):
            return answer.bad_reply({})  # a gateway's: the vendor knows us by a header, and asks for no scheme
        if answer.status == UNAUTHORIZED:
            return CredentialFault(answer.reason, answer.detail({}), is_ambiguous=True)
        meaning = INVALIDATE.get(answer.status, StatusMeaning.RETRY)
        return self._inside(answer) if meaning is StatusMeaning.ACCEPTED else answer.outcome(meaning, {})

    def _inside(self, answer: Answer) -> Outcome:
        """Success is inside. Whatever cannot be read, or speaks of success and of failure, is one case: a bad reply.

        A readable refusal is a dead letter: the vendor publishes no codes, so none is known to heal.
        """
        try:
            result = read_result(decrypt_json(self._cipher, answer.body), self._settings.success_codes)
        except CipherError:
            return answer.bad_reply({})
        codes = dict(zip(("res_code", "data_res_code"), result.codes, strict=False))
        match result.meaning:
            case StatusMeaning.ACCEPTED:
                return answer.outcome(StatusMeaning.ACCEPTED, codes, f"{answer.status} resCode")
            case StatusMeaning.DEAD:
                return Permanent(Reason.PROVIDER_RESCODE, answer.detail(codes))
            case _:
                return answer.bad_reply({})


def _reference(call: ProviderCall) -> SecretStr | None:
    if call.operation != INVALIDATE_TOKEN:
        raise ValueError(f"{call.operation} is no operation of Wibmo")
    return SecretStr(call.token_reference_id) if call.token_reference_id else None


@dataclass(frozen=True, slots=True)
class Result:
    """ACCEPTED, DEAD (a readable refusal) or DOUBTED; *codes* are the outer resCode and, where there is one, data's."""

    meaning: StatusMeaning
    codes: tuple[object, ...] = ()


def read_result(members: Mapping[str, object], success: Collection[object]) -> Result:
    """Return what *members* say; *success* are the codes that mean it.

    The published shapes are a `resCode`, and a `resCode` with a `data` object that has its own. Any code of the two
    that is no success is a refusal. A success is one only where nothing else in the document speaks of a failure: a
    code that stands deeper, a `resDesc`, a member named for errors, a text that is a document itself.
    """
    if _CODE not in members:
        return Result(StatusMeaning.DOUBTED)
    data = members.get(_DATA)
    codes = (members[_CODE], *((data[_CODE],) if isinstance(data, dict) and _CODE in data else ()))
    if not all(_means_success(code, success) for code in codes):
        return Result(StatusMeaning.DEAD, codes)
    has_known_shape = data is None or isinstance(data, dict)
    everything = contradictions.everything_in(members)
    denied = contradictions.denies_success(members) or any(_contradicts(*each, success) for each in everything)
    return Result(StatusMeaning.ACCEPTED if has_known_shape and not denied else StatusMeaning.DOUBTED, codes)


def _means_success(code: object, success: Collection[object]) -> bool:
    return type(code) in {int, str} and code in success  # True equals 1, and 100.0 equals 100


def _contradicts(name: str, value: object, success: Collection[object]) -> bool:
    """Whether a member, at any depth of a success, says otherwise."""
    folded = contradictions.folded(name)
    if folded == _CODE.casefold():
        return name != _CODE or not _means_success(value, success)
    if isinstance(value, str):
        return contradictions.speaks_of_failure(value) or (folded == _DESCRIPTION and not _SUCCESS.search(value))
    return folded == _DESCRIPTION and value is not None
