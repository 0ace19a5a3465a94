"""The sandbox as one aiohttp application, and as a server that runs until it is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial
from typing import Any, Final

from aiohttp import web
from pydantic import SecretStr

from worker.sandbox.admin import Control
from worker.sandbox.config import SandboxConfig
from worker.sandbox.faults import OTHER, FaultScript, load_faults
from worker.sandbox.finbourne import Finbourne
from worker.sandbox.gateway import Front
from worker.sandbox.genesys import Genesys
from worker.sandbox.journal import Journal
from worker.sandbox.wibmo import Wibmo

MAX_BODY: Final = 16 * 1024 * 1024  # bytes; a test seeds many tokens at once
MAX_HEADER: Final = 32 * 1024  # bytes; a token may have 8192, and stands behind a word
GRACE: Final = 1.0  # seconds for answers on their way when the sandbox stops

SandboxProvider = Genesys | Finbourne | Wibmo


def make_app(config: SandboxConfig) -> web.Application:
    """Return the application: four provider instances, a door for control, and a journaled 404 for the rest.

    Raises pydantic's ValidationError or OSError for a bad faults file, OSError for a journal that cannot be written.
    """
    journal = Journal(config.journal_entries, config.journal_file)
    faults = FaultScript((*config.faults, *(load_faults(config.faults_file) if config.faults_file else ())))
    front = Front(journal, faults, config.latency_seconds)
    providers = _providers(config, front)
    app = web.Application(client_max_size=MAX_BODY, handler_args={"max_field_size": MAX_HEADER})
    stores = {each.name: each.store for each in providers}
    app.add_routes(Control(stores, faults, journal, partial(_change_secret, providers)).routes())
    for provider in providers:
        app.add_routes([*provider.routes(), web.route("*", f"/{provider.name}/{{rest:.*}}", _other(front, provider))])
    app.cleanup_ctx.append(_closing(journal))
    return app


async def serve(
    config: SandboxConfig, host: str = "127.0.0.1", port: int = 0, on_ready: Callable[[str], None] = lambda _: None
) -> None:
    """Serve until cancelled; *on_ready* is told the base URL. Port 0: any free one. Raises OSError for a taken one."""
    runner = web.AppRunner(make_app(config), access_log=None, shutdown_timeout=GRACE)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        on_ready(f"http://{host}:{runner.addresses[0][1]}")
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def sandbox_providers(base_url: str, config: SandboxConfig | None = None) -> dict[str, dict[str, Any]]:
    """Return the provider settings, by instance name, that point a worker at the sandbox under *base_url*."""
    known = config or SandboxConfig()
    genesys = {
        "kind": "genesys",
        "client_id": known.client_id,
        "client_secret": known.client_secret.get_secret_value(),
    }
    return {
        "genesys": genesys | _genesys_place(f"{base_url}/genesys"),
        "genesys-eu": genesys | _genesys_place(f"{base_url}/genesys-eu"),
        "finbourne": {"kind": "finbourne", "base_url": f"{base_url}/finbourne/identity"},
        "wibmo": {
            "kind": "wibmo",
            "base_url": f"{base_url}/wibmo",
            "api_key": known.api_key.get_secret_value(),
            "cipher": _cipher_document(known),
        },
    }


def _genesys_place(base_url: str) -> dict[str, Any]:
    issuer = f"urn:sandbox:{base_url.rpartition('/')[2]}"
    return {"api_base_url": base_url, "login_base_url": base_url, "subject_issuer": issuer, "proof_probe": True}


def _cipher_document(config: SandboxConfig) -> dict[str, Any]:
    secrets = {
        name: secret.get_secret_value()
        for name in ("key", "peer_key", "fixed_iv")
        if (secret := getattr(config.cipher, name)) is not None
    }
    return config.cipher.model_dump(exclude_none=True) | secrets


def _providers(config: SandboxConfig, front: Front) -> tuple[SandboxProvider, ...]:
    return (
        Genesys("genesys", config, front),
        Genesys("genesys-eu", config, front),
        Finbourne("finbourne", config, front),
        Wibmo("wibmo", config, front),
    )


def _change_secret(providers: Iterable[SandboxProvider], secret: SecretStr) -> None:
    for provider in providers:
        if isinstance(provider, Genesys):
            provider.change_secret(secret)


def _other(front: Front, provider: SandboxProvider) -> Callable[[web.Request], Any]:
    async def handler(request: web.Request) -> web.StreamResponse:
        return await front.serve(request, provider, OTHER, "", lambda request_id: provider.refusal(404, request_id))

    return handler


def _closing(journal: Journal) -> Callable[[web.Application], AsyncIterator[None]]:
    async def context(_: web.Application) -> AsyncIterator[None]:
        yield
        journal.close()

    return context
