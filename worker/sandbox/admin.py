"""The sandbox's admin API, `/_sandbox`: seed tokens, script faults, read the journal."""

from collections.abc import Callable, Mapping
from typing import Annotated, Final, Self, TypeVar

from aiohttp import web
from pydantic import Field, SecretStr, TypeAdapter, ValidationError, model_validator

from tasks.strict_model import StrictModel
from worker.sandbox.faults import FAULTS, FaultScript
from worker.sandbox.gateway import StandIn
from worker.sandbox.journal import Journal


class Seed(StrictModel):
    """A token or a token reference that is live from now on."""

    provider: str
    token: str | None = Field(default=None, min_length=1, repr=False)
    token_reference_id: str | None = Field(default=None, min_length=1, repr=False)
    user_id: str | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.token is None) == (self.token_reference_id is None):
            raise ValueError("exactly one of token and token_reference_id is needed")
        return self

    @property
    def secret(self) -> str:
        """The token or the reference."""
        return self.token or self.token_reference_id or ""


class NewSecret(StrictModel):
    """The client secret that every Genesys organisation takes from now on."""

    client_secret: SecretStr = Field(min_length=1)


class NewPermissions(StrictModel):
    """What the role of the client permits from now on, e.g. `oauth:token:delete`, at every Genesys organisation."""

    permissions: tuple[Annotated[str, Field(pattern=r"^\w+:\w+:\w+$")], ...]


T = TypeVar("T")
_SEEDS: Final = TypeAdapter(tuple[Seed, ...] | Seed)


class AdminApi:
    """What tests and people do with the sandbox. Nothing of this is a provider's request, so none is journaled."""

    def __init__(self, played: Mapping[str, StandIn], faults: FaultScript, journal: Journal) -> None:
        self._played, self._faults, self._journal = played, faults, journal

    def routes(self) -> list[web.RouteDef]:
        """Return the API's routes."""
        return [
            web.get("/_sandbox/health", self._health),
            web.post("/_sandbox/tokens", self._seed),
            web.delete("/_sandbox/tokens", self._expire),
            web.get("/_sandbox/tokens", self._tell_dead),
            web.post("/_sandbox/faults", self._script),
            web.delete("/_sandbox/faults", self._unscript),
            web.put("/_sandbox/client-secret", self._rotate),
            web.put("/_sandbox/permissions", self._permit),
            web.get("/_sandbox/journal", self._read),
            web.delete("/_sandbox/journal", self._forget),
        ]

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok", "providers": sorted(self._played)})

    async def _seed(self, request: web.Request) -> web.Response:
        seeds = await self._seeds(request)
        for seed in seeds:
            self._played[seed.provider].store.seed(seed.secret, seed.user_id)
        return web.json_response({"seeded": len(seeds)}, status=201)

    async def _expire(self, request: web.Request) -> web.Response:
        seeds = await self._seeds(request)
        for seed in seeds:
            self._played[seed.provider].store.expire(seed.secret)
        return web.json_response({"expired": len(seeds)})

    async def _seeds(self, request: web.Request) -> tuple[Seed, ...]:
        seeds = _valid(_SEEDS.validate_json, await request.read())
        seeds = (seeds,) if isinstance(seeds, Seed) else seeds
        if unknown := {seed.provider for seed in seeds} - self._played.keys():
            raise web.HTTPNotFound(text=f"no such provider: {', '.join(sorted(unknown))}")
        return seeds

    async def _tell_dead(self, _: web.Request) -> web.Response:
        return web.json_response({"dead": {name: each.store.dead() for name, each in self._played.items()}})

    async def _script(self, request: web.Request) -> web.Response:
        faults = _valid(FAULTS.validate_json, await request.read())
        self._faults.add(faults)
        return web.json_response({"scripted": len(faults)}, status=201)

    async def _unscript(self, _: web.Request) -> web.Response:
        self._faults.clear()
        return web.Response(status=204)

    async def _rotate(self, request: web.Request) -> web.Response:
        secret = _valid(NewSecret.model_validate_json, await request.read()).client_secret
        for each in self._played.values():
            each.change_secret(secret)
        return web.Response(status=204)

    async def _permit(self, request: web.Request) -> web.Response:
        permissions = _valid(NewPermissions.model_validate_json, await request.read()).permissions
        for each in self._played.values():
            each.change_permissions(permissions)
        return web.Response(status=204)

    async def _read(self, request: web.Request) -> web.Response:
        since, limit = _number(request, "since"), _number(request, "limit")
        return web.json_response([entry.as_json() for entry in self._journal.since(since or 0, limit)])

    async def _forget(self, _: web.Request) -> web.Response:
        self._journal.clear()
        return web.Response(status=204)


def _valid(parse: Callable[[bytes], T], body: bytes) -> T:
    try:
        return parse(body)
    except ValidationError as error:
        places = {".".join(map(str, each["loc"])) or "body" for each in error.errors(include_input=False)}
    raise web.HTTPBadRequest(text=f"not valid: {', '.join(sorted(places))}")


def _number(request: web.Request, name: str) -> int | None:
    text = request.query.get(name)
    if text is not None and not text.isdecimal():
        raise web.HTTPBadRequest(text=f"not a number: {name}")
    return None if text is None else int(text)
