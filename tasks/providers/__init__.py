"""The providers: what each kind is for planning, how each is configured, and how to make one."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Final

import aiohttp
from pydantic import Field

from tasks.providers import finbourne, genesys, wibmo
from tasks.providers.finbourne import Finbourne, FinbourneSettings
from tasks.providers.genesys import Genesys, GenesysSettings
from tasks.providers.http import open_session
from tasks.providers.provider import Kind, Provider, Request
from tasks.providers.wibmo import Wibmo, WibmoSettings
from tasks.sealing import Opener

__all__ = [
    "KINDS",
    "FinbourneSettings",
    "GenesysSettings",
    "Kind",
    "Provider",
    "ProviderSettings",
    "Request",
    "WibmoSettings",
    "make_provider",
    "open_session",
]

KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {kind.name: kind for kind in (genesys.KIND, finbourne.KIND, wibmo.KIND)}
)

ProviderSettings = Annotated[GenesysSettings | FinbourneSettings | WibmoSettings, Field(discriminator="kind")]


def make_provider(name: str, settings: ProviderSettings, session: aiohttp.ClientSession, opener: Opener) -> Provider:
    """Return provider instance *name*: it opens tokens sealed for *name* with *opener*, and leaves *session* open."""
    match settings:
        case GenesysSettings():
            return Genesys(name, settings, session, opener)
        case FinbourneSettings():
            return Finbourne(name, settings, session, opener)
        case WibmoSettings():
            return Wibmo(name, settings, session)
