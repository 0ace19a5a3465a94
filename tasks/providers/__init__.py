"""The providers: the one list of their kinds, and what is done with settings by the kind that they name."""

from typing import Annotated, Final

import aiohttp
from pydantic import PlainValidator
from pydantic_core import PydanticKnownError

from tasks.providers import finbourne, genesys, wibmo
from tasks.providers.http import open_session
from tasks.providers.provider import CommonSettings, Kind, Provider, Request
from tasks.sealing import Unsealer

__all__ = ["KINDS", "Kind", "Provider", "ProviderSettings", "Request", "make_provider", "open_session", "operations"]

KINDS: Final[dict[str, Kind]] = {
    each.name: each
    for each in (
        genesys.KIND,
        finbourne.KIND,
        wibmo.KIND,
    )
}


def operations() -> tuple[str, ...]:
    """Every operation of every kind: each has a Celery task of its own."""
    return tuple(plan.operation for kind in KINDS.values() for plan in kind.plans)


def _settings_of_kind(value: object) -> CommonSettings:
    """Read *value* as the settings of the kind that it names; the errors are those of a discriminated union."""
    if isinstance(value, CommonSettings):
        return value
    name = value.get("kind") if isinstance(value, dict) else None
    if name is None:
        raise PydanticKnownError("union_tag_not_found", {"discriminator": "'kind'"})
    if name not in KINDS:
        known = ", ".join(map(repr, KINDS))
        raise PydanticKnownError(
            "union_tag_invalid", {"discriminator": "'kind'", "tag": str(name), "expected_tags": known}
        )
    return KINDS[name].settings.model_validate(value)


ProviderSettings = Annotated[CommonSettings, PlainValidator(_settings_of_kind)]


def make_provider(
    name: str, settings: ProviderSettings, session: aiohttp.ClientSession, unsealer: Unsealer
) -> Provider:
    """Return instance *name*: it opens tokens sealed for *name* with *unsealer*, and leaves *session* open."""
    return KINDS[settings.kind].make(name, settings, session, unsealer)
