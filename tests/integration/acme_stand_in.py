"""Acme as the sandbox plays it."""

from typing import Any

from acme import END_SESSIONS
from aiohttp import web

from worker.sandbox.config import SandboxConfig
from worker.sandbox.gateway import Reply, StandIn


class AcmeStandIn(StandIn):
    """One organization under `/<name>`."""

    instances = ("acme",)

    @staticmethod
    def settings(url: str, config: SandboxConfig) -> dict[str, Any]:
        """Return the settings that point a worker at the organization."""
        return {"base_url": url, "api_key": config.api_key.get_secret_value()}

    def routes(self) -> list[web.RouteDef]:
        """Return the organization's route."""
        return [web.delete(f"/{self.name}/users/{{user_id}}/sessions", self._end_sessions)]

    def refusal(self, status: int, request_id: str) -> Reply:
        """Return an error of that status in Acme's shape."""
        return Reply(status, f'{{"code": "E{status}", "request": "{request_id}"}}'.encode())

    async def _end_sessions(self, request: web.Request) -> web.StreamResponse:
        user_id, api_key = request.match_info["user_id"], request.headers.get("X-Api-Key")

        def decide(request_id: str) -> Reply:
            if api_key != self.config.api_key.get_secret_value():
                return self.refusal(401, request_id)
            ended = self.store.revoke_user(user_id)
            return self.refusal(404, request_id) if ended is None else Reply(204, revoked=ended > 0)

        return await self.serve(request, END_SESSIONS, user_id, decide)
