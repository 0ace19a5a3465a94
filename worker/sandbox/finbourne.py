"""Finbourne (LUSID) identity as the sandbox plays it: one call, which kills the token it is made with.

As https://www.lusid.com/identity/swagger documents it: 204, or LusidProblemDetails. The challenge of a 401 is ours.
"""

import json
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from tasks.providers.finbourne import INVALIDATE_TOKEN
from worker.sandbox.config import SandboxConfig
from worker.sandbox.gateway import Reply, StandIn, bearer
from worker.sandbox.store import digest

# RFC 6750 section 3.1; of a request without a token the challenge names no error.
_DEAD: Final = 'Bearer error="invalid_token", error_description="The token expired or was revoked"'


class FinbourneStandIn(StandIn):
    """One LUSID domain, its API under `/identity`."""

    instances = ("finbourne",)

    @staticmethod
    def settings(url: str, config: SandboxConfig) -> dict[str, Any]:  # noqa: ARG004 - it needs no credential
        """Return the worker's settings of the domain."""
        return {"base_url": f"{url}/identity"}

    def routes(self) -> list[web.RouteDef]:
        """Return the domain's route."""
        return [web.delete(f"/{self.name}/identity/api/tokens", self._invalidate)]

    def refusal(self, status: int, request_id: str) -> Reply:
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
        return Reply(status, json.dumps(problem).encode(), "application/problem+json", headers)

    async def _invalidate(self, request: web.Request) -> web.StreamResponse:
        token = bearer(request)
        return await self.serve(request, INVALIDATE_TOKEN, digest(token), lambda rid: self._revoked(token, rid))

    def _revoked(self, token: str, request_id: str) -> Reply:
        if self.store.revoke(token):
            return Reply(204, revoked=True)
        refused = self.refusal(401, request_id)
        return refused if token else replace(refused, headers={"WWW-Authenticate": "Bearer"})
