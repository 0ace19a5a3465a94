"""Genesys Cloud as the sandbox plays it: one organisation with its own login, users and tokens.

Paths, bodies and headers as https://developer.genesys.cloud documents them (Tokens API, OAuth client credentials,
rate limits); where it is silent the sandbox chooses: DELETE answers 200 without a body, error codes other than
`bad.credentials` and `authentication.required` are the status's name with dots.
"""

import json
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from tasks.providers.genesys import DELETE_TOKEN, DELETE_TOKENS_ME
from tasks.providers.genesys.permissions import DELETE_TOKENS
from worker.sandbox.config import SandboxConfig
from worker.sandbox.faults import OTHER, FaultScript
from worker.sandbox.gateway import Reply, StandIn, basic, bearer
from worker.sandbox.journal import Journal
from worker.sandbox.store import WorkerTokens, digest

_MESSAGES: Final = {
    "bad.credentials": "Invalid login credentials.",
    "authentication.required": "No authentication bearer token specified in authorization header.",
    "missing.any.permissions": "You must have at least one of the following permissions assigned: oauth:token:delete",
    "missing.permissions": "You are missing the following permission(s): oauth:token:delete",
}
_OTHER_POLICY: Final = {"domain": "directory", "entityName": "organization", "actions": ["view"]}


class IdleTokenTimeout(BaseModel):
    """IdleTokenTimeout, as GET answers it and PUT takes it."""

    model_config = ConfigDict(frozen=True)

    idleTokenTimeoutSeconds: int = Field(default=1800, ge=300, le=28800)  # noqa: N815 - the vendor's name
    enableIdleTokenTimeout: bool = False  # noqa: N815 - the vendor's name


class GenesysStandIn(StandIn):
    """One organisation: api and login share the base URL."""

    instances = ("genesys", "genesys-eu")

    def __init__(self, name: str, config: SandboxConfig, journal: Journal, faults: FaultScript) -> None:
        super().__init__(name, config, journal, faults)
        self._workers = WorkerTokens(config.token_ttl_seconds, config.rate_limit_per_minute)
        self._idle = IdleTokenTimeout()

    @staticmethod
    def settings(url: str, config: SandboxConfig) -> dict[str, Any]:
        """Return the worker's settings of the organisation."""
        credential = {"client_id": config.client_id, "client_secret": config.client_secret.get_secret_value()}
        place = {"api_base_url": url, "login_base_url": url, "subject_issuer": f"urn:sandbox:{url.rpartition('/')[2]}"}
        return {**credential, **place, "proof_probe": True}

    def routes(self) -> list[web.RouteDef]:
        """Return the organisation's routes."""
        tokens, get_timeout = f"/{self.name}/api/v2/tokens", partial(self._as_worker, self._idle_timeout)
        get_subject = partial(self._as_worker, self._subject)
        return [
            web.post(f"/{self.name}/oauth/token", self._login),
            web.delete(f"{tokens}/me", self._by_bearer(DELETE_TOKENS_ME, self._delete_me)),
            web.get(f"{tokens}/me", self._by_bearer("genesys.get_tokens_me", self._get_me), allow_head=False),
            web.head(f"{tokens}/me", self._by_bearer("genesys.head_tokens_me", self._get_me)),
            web.get(f"{tokens}/timeout", self._by_bearer("genesys.get_tokens_timeout", get_timeout), allow_head=False),
            web.put(f"{tokens}/timeout", self._put_timeout),
            web.delete(f"{tokens}/{{user_id}}", self._delete_user),
            web.get(f"/{self.name}/api/v2/authorization/subjects/me", self._by_bearer(OTHER, get_subject)),
        ]

    def change_secret(self, secret: SecretStr) -> None:
        """Take no other client secret from now on; what was bought with the old one is worth nothing."""
        self.config = self.config.model_copy(update={"client_secret": secret})
        self._workers = WorkerTokens(self.config.token_ttl_seconds, self.config.rate_limit_per_minute)

    def change_permissions(self, permissions: tuple[str, ...]) -> None:
        """Let the role of the client have *permissions* and no others from now on."""
        self.config = self.config.model_copy(update={"permissions": permissions})

    def refusal(self, status: int, request_id: str) -> Reply:
        """Return an error of that status in Genesys' shape."""
        if status == HTTPStatus.UNAUTHORIZED:
            return _error(status, "bad.credentials", request_id)
        return _error(status, HTTPStatus(status).phrase.lower().replace(" ", "."), request_id)

    def _by_bearer(self, operation: str, act: Callable[[str, str], Reply]) -> Callable[[web.Request], Any]:
        async def handler(request: web.Request) -> web.StreamResponse:
            token = bearer(request)
            return await self.serve(request, operation, digest(token), lambda rid: act(token, rid))

        return handler

    async def _login(self, request: web.Request) -> web.StreamResponse:
        client_id, secret = basic(request)
        act = partial(self._grant, client_id, secret, await request.read())
        return await self.serve(request, "genesys.login", digest(client_id), act)

    async def _delete_user(self, request: web.Request) -> web.StreamResponse:
        user_id = request.match_info["user_id"]
        act = partial(self._as_worker, partial(self._revoked, user_id), bearer(request))
        return await self.serve(request, DELETE_TOKEN, user_id[:128], act)

    async def _put_timeout(self, request: web.Request) -> web.StreamResponse:
        token, body = bearer(request), await request.read()
        act = partial(self._as_worker, partial(self._set_timeout, body), token)
        return await self.serve(request, "genesys.put_tokens_timeout", digest(token), act)

    def _grant(self, client_id: str, secret: str, body: bytes, _request_id: str) -> Reply:
        if (client_id, secret) != (self.config.client_id, self.config.client_secret.get_secret_value()):
            return _json(401, {"error": "invalid_client", "error_description": "authentication failed"})
        if body != b"grant_type=client_credentials":
            return _json(400, {"error": "unsupported_grant_type", "error_description": "unsupported grant type"})
        ttl = self.config.token_ttl_seconds
        return _json(200, {"access_token": self._workers.issue(), "token_type": "bearer", "expires_in": ttl})

    def _delete_me(self, token: str, request_id: str) -> Reply:
        killed = self.store.revoke(token) or self._workers.revoke(token)  # the worker's own, too, if it asks for that
        return _ok(request_id, revoked=True) if killed else self._unauthenticated(token, request_id)

    def _get_me(self, token: str, request_id: str) -> Reply:
        if not self.store.is_live(token) and self._workers.meter_of(token) is None:
            return self._unauthenticated(token, request_id)
        idles = datetime.now(UTC) + timedelta(seconds=self._idle.idleTokenTimeoutSeconds)
        organization = {"id": str(uuid.uuid5(uuid.NAMESPACE_DNS, self.name)), "name": self.name}
        info = {
            "organization": organization,
            "homeOrganization": organization,
            "authorizedScope": [],
            "dateTokenIdles": idles.isoformat(timespec="milliseconds"),
            "OAuthClient": {"id": self.config.client_id, "name": "sandbox"},
        }
        return replace(_ok(request_id), body=json.dumps(info).encode())

    def _idle_timeout(self, request_id: str) -> Reply:
        return replace(_ok(request_id), body=self._idle.model_dump_json().encode())

    def _set_timeout(self, body: bytes, request_id: str) -> Reply:
        try:
            given = IdleTokenTimeout.model_validate_json(body).model_dump(exclude_unset=True)
        except ValidationError:
            return self.refusal(400, request_id)
        self._idle = self._idle.model_copy(update=given)
        return self._idle_timeout(request_id)

    def _subject(self, request_id: str) -> Reply:
        named = [each.split(":") for each in self.config.permissions]
        policies = [{"domain": domain, "entityName": entity, "actions": [action]} for domain, entity, action in named]
        role = {"id": "sandbox-role", "name": "sandbox", "policies": [*policies, _OTHER_POLICY]}
        subject = {"id": self.config.client_id, "name": "sandbox", "grants": [{"role": role}]}
        return replace(_ok(request_id), body=json.dumps(subject).encode())

    def _revoked(self, user_id: str, request_id: str) -> Reply:
        if DELETE_TOKENS not in self.config.permissions:
            return _error(HTTPStatus.FORBIDDEN, "missing.any.permissions", request_id)
        live = self.store.revoke_user(user_id) if _is_uuid(user_id) else None
        return self.refusal(404, request_id) if live is None else _ok(request_id, revoked=live > 0)

    def _as_worker(self, act: Callable[[str], Reply], token: str, request_id: str) -> Reply:
        if meter := self._workers.meter_of(token):
            meter.tick()
            answer = self.refusal(429, request_id) if meter.is_over else act(request_id)
            wait = {"Retry-After": str(meter.reset)} if meter.is_over else {}
            return replace(answer, headers={**answer.headers, **wait, **meter.headers})
        if self.store.is_live(token):
            return _error(403, "missing.permissions", request_id)
        return self._unauthenticated(token, request_id)

    def _unauthenticated(self, token: str, request_id: str) -> Reply:
        return _error(HTTPStatus.UNAUTHORIZED, "bad.credentials" if token else "authentication.required", request_id)


def _ok(request_id: str, *, revoked: bool = False) -> Reply:
    return Reply(200, headers={"ININ-Correlation-Id": request_id}, revoked=revoked)


def _json(status: int, members: dict[str, Any]) -> Reply:
    return Reply(status, json.dumps(members).encode())


def _error(status: int, code: str, request_id: str) -> Reply:
    message = _MESSAGES.get(code, HTTPStatus(status).phrase)
    members = {"message": message, "code": code, "status": status, "messageParams": {}, "contextId": request_id}
    answer = _json(status, members | {"details": [], "errors": []})
    return replace(answer, headers={"ININ-Correlation-Id": request_id})


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False
