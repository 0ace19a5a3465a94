"""Finbourne (LUSID) identity as the sandbox plays it: one call, which kills the token it is made with.

As https://www.lusid.com/identity/swagger documents it: 204, or LusidProblemDetails. The challenge of a 401 is ours.
"""

from __future__ import annotations

import json
from dataclasses import replace
from http import HTTPStatus
from typing import Final

from aiohttp import web

from tasks.providers.finbourne import INVALIDATE_TOKEN
from worker.sandbox.config import SandboxConfig
from worker.sandbox.gateway import Answer, Front
from worker.sandbox.requests import bearer
from worker.sandbox.store import TokenStore, digest

# RFC 6750 section 3.1; of a request without a token the challenge names no error.
_DEAD: Final = 'Bearer error="invalid_token", error_description="The token expired or was revoked"'


class Finbourne:
    """One LUSID domain under `/<name>/identity`."""

    def __init__(self, name: str, config: SandboxConfig, front: Front) -> None:
        self.name = name
        self.store = TokenStore(auto_issue=config.auto_issue)
        self._front = front

    def routes(self) -> list[web.RouteDef]:
        """Return the domain's route."""
        return [web.delete(f"/{self.name}/identity/api/tokens", self._invalidate)]

    def refusal(self, status: int, request_id: str) -> Answer:
        """Return LusidProblemDetails of that status."""
        phrase = HTTPStatus(status).phrase
        problem = {
            "name": phrase.replace(" ", ""),
            "errorDetails": [],
            "code": status,
            "type": "https://docs.lusid.com/#section/Error-Codes/",
            "title": phrase,
            "status": status,
            "detail": "",
            "instance": f"https://sandbox.lusid.com/app/insights/logs/{request_id}",
        }
        headers = {"WWW-Authenticate": _DEAD} if status == HTTPStatus.UNAUTHORIZED else {}
        return Answer(status, json.dumps(problem).encode(), "application/problem+json", headers)

    def garbled(self, *, wrong_key: bool) -> Answer:
        """Return what should be JSON and is not, whatever the key."""
        del wrong_key
        return Answer(200, b'{"name": ')

    async def _invalidate(self, request: web.Request) -> web.StreamResponse:
        token = bearer(request)
        return await self._front.serve(
            request, self, INVALIDATE_TOKEN, digest(token), lambda rid: self._killed(token, rid)
        )

    def _killed(self, token: str, request_id: str) -> Answer:
        if self.store.revoke(token):
            return Answer(204, revoked=True)
        refused = self.refusal(401, request_id)
        return refused if token else replace(refused, headers={"WWW-Authenticate": "Bearer"})
