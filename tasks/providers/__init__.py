"""The providers: the one list of their kinds, and what is done with settings by the kind that they name.

What makes the calls is imported with the first client: who reads settings or plans calls needs no HTTP.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import PlainValidator

from tasks.kinds import settings_of_kind
from tasks.providers import declared, finbourne, genesys, ssf, wibmo
from tasks.providers.kind import CommonSettings, Kind

if TYPE_CHECKING:
    import aiohttp

    from tasks.providers.provider import Provider
    from tasks.sealing import Unsealer

__all__ = ["KINDS", "Kind", "ProviderSettings", "kind_of", "make_provider", "operations"]

KINDS: Final[dict[str, Kind]] = {
    each.name: each
    for each in (
        genesys.KIND,
        finbourne.KIND,
        wibmo.KIND,
        declared.KIND,
        ssf.KIND,
    )
}


def operations() -> tuple[str, ...]:
    """Every operation of every kind: each has a Celery task of its own."""
    return tuple(each for kind in KINDS.values() for plan in kind.plans for each in plan.operations)


_read = partial(settings_of_kind, kinds=KINDS, common=CommonSettings)
ProviderSettings = Annotated[CommonSettings, PlainValidator(_read)]


def kind_of(settings: ProviderSettings) -> Kind:
    """Return what the instance of *settings* can do, and with whose credential."""
    return KINDS[settings.kind].of(settings)


def make_provider(
    name: str, settings: ProviderSettings, session: aiohttp.ClientSession, unsealer: Unsealer
) -> Provider:
    """Return instance *name*: it opens tokens sealed for *name* with *unsealer*, and leaves *session* open."""
    module, _, named = KINDS[settings.kind].client.partition(":")
    made: Provider = getattr(import_module(module), named)(name, settings, session, unsealer)
    return made
