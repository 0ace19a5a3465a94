"""The sandbox as one aiohttp application, and as a server that runs until it is cancelled."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from aiohttp import web

from worker.sandbox.admin import AdminApi
from worker.sandbox.config import SandboxConfig
from worker.sandbox.faults import FAULTS, FaultScript
from worker.sandbox.finbourne import FinbourneStandIn
from worker.sandbox.gateway import StandIn
from worker.sandbox.genesys import GenesysStandIn
from worker.sandbox.journal import Journal
from worker.sandbox.wibmo import WibmoStandIn

MAX_BODY: Final = 16 * 1024 * 1024  # bytes; a test seeds many tokens at once
MAX_HEADER: Final = 32 * 1024  # bytes; a token may have 8192, and stands behind a word
GRACE: Final = 1.0  # seconds for answers on their way when the sandbox stops

STAND_INS: Final[dict[str, type[StandIn]]] = {  # by the kind of provider that they play
    "genesys": GenesysStandIn,
    "finbourne": FinbourneStandIn,
    "wibmo": WibmoStandIn,
}


def make_app(config: SandboxConfig) -> web.Application:
    """Return the application: an instance of each stand-in, the admin API, and a journaled 404 for the rest.

    Raises pydantic's ValidationError or OSError for a bad faults file, OSError for a journal that cannot be written.
    """
    journal = Journal(config.journal_entries, config.journal_file)
    in_file = FAULTS.validate_json(config.faults_file.read_bytes()) if config.faults_file else ()
    faults = FaultScript((*config.faults, *in_file))
    played = [each(name, config, journal, faults) for each in STAND_INS.values() for name in each.instances]
    app = web.Application(client_max_size=MAX_BODY, handler_args={"max_field_size": MAX_HEADER})
    app.add_routes(AdminApi({each.name: each for each in played}, faults, journal).routes())
    for each in played:
        app.add_routes([*each.routes(), web.route("*", f"/{each.name}/{{rest:.*}}", each.serve_unknown)])

    async def close_journal(_: web.Application) -> None:
        journal.close()

    app.on_cleanup.append(close_journal)
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
    return {
        name: {"kind": kind, **stand_in.settings(f"{base_url}/{name}", known)}
        for kind, stand_in in STAND_INS.items()
        for name in stand_in.instances
    }
