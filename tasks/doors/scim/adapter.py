"""A SCIM request → its answer, the accounts as they are then, and what of it is an event.

Only a change of `active` is one. A directory that imports people who are inactive, or says of somebody inactive that
they are, logs out nobody; a request that is sent again finds its change made, and is answered alike.
"""

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl

from scim2_models import Context, Resource, ResponseParameters, SCIMException
from scim2_server.errors import MethodNotAllowedException
from scim2_server.handler import ScimHandler
from scim2_server.requests import ScimRequest
from scim2_server.responses import SCIM_MEDIA_TYPE, ScimResponse
from scim2_server.service import ScimService

from tasks.doors.accounts import Accounts
from tasks.doors.door import Answer, Arrival, ForeignEvent, Verdict, Word
from tasks.doors.scim import Settings
from tasks.doors.scim.model import ANNOUNCING_ALL, PROVIDER
from tasks.doors.scim.storage import AccountStorage, Transition
from tasks.doors.subjects import of_person
from tasks.events import USER_DISABLED, USER_ENABLED

logger = logging.getLogger(__name__)

REASONS: Final = {True: "scim-activated", False: "scim-deactivated"}
_STATUS: Final[Mapping[Word, int]] = {
    Word.UNPROVED: 401,
    Word.NOT_ALLOWED: 403,
    Word.UNKNOWN: 404,
    Word.TOO_SLOW: 408,
    Word.TOO_LARGE: 413,
    Word.TOO_MANY: 429,
    Word.UNAVAILABLE: 503,
}
_READS: Final = frozenset({"GET", "HEAD"})
_ERROR: Final = "urn:ietf:params:scim:api:messages:2.0:Error"


class _Service(ScimService):
    """Answers a PATCH with the whole account: whoever sent it sees what became of it."""

    def patch_response(
        self, base_url: str, resource: Resource[Any], response_parameters: ResponseParameters[Any]
    ) -> ScimResponse:
        """Return 200, as RFC 7644 section 3.5.2 allows."""
        published = self.publish(base_url, resource)
        return self.resource_response(published, Context.RESOURCE_REPLACEMENT_RESPONSE, response_parameters)


class Scim:
    """One such door."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._service = _Service(ANNOUNCING_ALL if settings.whole_schema else PROVIDER)

    def changes(self, arrival: Arrival) -> bool:
        """Whether *arrival* may change an account."""
        return arrival.method not in _READS and not arrival.path.endswith("/.search")

    def judge(self, arrival: Arrival, accounts: Accounts) -> Verdict:
        """Return what *arrival* comes to, with *accounts* changed as it asks."""
        storage = AccountStorage(accounts, arrival.at, self._settings.accounts)
        try:
            response = ScimHandler(self._service, storage).handle(self._request(arrival))
        except Exception as error:  # noqa: BLE001 - what is no error of SCIM is answered 500, and reported
            return self._failed(error)
        events = tuple(self._event(each) for each in storage.transitions)
        return Verdict(_answer(response), Word.ACCEPTED if events else Word.NOTHING, events)

    def refuse(self, why: Word) -> Answer:
        """Return the refusal as a SCIM error (RFC 7644 section 3.12)."""
        status = _STATUS.get(why, 400)
        document = {"schemas": [_ERROR], "status": str(status), "detail": why.value.replace("_", " ")}
        answer = Answer.json(status, document, SCIM_MEDIA_TYPE)
        headers = {
            **answer.headers,
            **({"WWW-Authenticate": 'Bearer realm="SCIM"'} if status == HTTPStatus.UNAUTHORIZED else {}),
        }
        return Answer(status, answer.body, headers)

    def _request(self, arrival: Arrival) -> ScimRequest:
        query = dict(parse_qsl(arrival.query, keep_blank_values=True))
        headers = {name: value for name in _HEADERS if (value := arrival.headers.get(name))}
        path = arrival.path or "/"
        return ScimRequest(arrival.method, self._settings.url, path, query, headers, arrival.body)

    def _failed(self, error: Exception) -> Verdict:
        is_ours = not isinstance(error, SCIMException | ValueError | MethodNotAllowedException)
        if is_ours:
            logger.error("door.scim_failed", extra={"error": type(error).__name__}, exc_info=error)
        answer = _answer(self._service.error_response(error))
        word = Word.UNKNOWN if answer.status == HTTPStatus.NOT_FOUND else Word.MALFORMED
        return Verdict(answer, word)

    def _event(self, transition: Transition) -> ForeignEvent:
        """Named by the account and its version: made once, in the transaction that changes the account."""
        account, kind = transition.account, USER_ENABLED if transition.is_active else USER_DISABLED
        data = {
            "sub_id": of_person(account.user_name, account.external_id, self._settings.subject_issuer),
            "reason": REASONS[transition.is_active],
        }
        return ForeignEvent(kind, f"{account.account_id}:{account.version}", account.changed, data)


_HEADERS: Final = ("Content-Type", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "Accept")


def _answer(response: ScimResponse) -> Answer:
    body = b"" if response.body is None else json.dumps(response.body, separators=(",", ":")).encode()
    headers = dict(response.headers)
    if not body:
        headers.pop("Content-Type", None)
    return Answer(int(response.status), body, headers)
