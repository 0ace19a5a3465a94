"""The doors: the one list of their kinds, and how settings are read by the kind that they name."""

from functools import partial
from typing import Annotated, Final

from pydantic import PlainValidator

from tasks.doors import (
    back_channel_logout,
    global_token_revocation,
    graph,
    keycloak,
    ldap,
    okta_event_hook,
    scim,
    security_event_tokens,
    signal_stream,
)
from tasks.doors.door import (
    AccountAdapter,
    Adapter,
    Answer,
    Arrival,
    ForeignEvent,
    Kind,
    SignalAdapter,
    Verdict,
    Word,
)
from tasks.doors.settings import CommonDoorSettings
from tasks.kinds import settings_of_kind

__all__ = [
    "KINDS",
    "AccountAdapter",
    "Adapter",
    "Answer",
    "Arrival",
    "DoorSettings",
    "ForeignEvent",
    "Kind",
    "SignalAdapter",
    "Verdict",
    "Word",
]

KINDS: Final[dict[str, Kind]] = {
    each.name: each
    for each in (
        global_token_revocation.KIND,
        scim.KIND,
        security_event_tokens.KIND,
        back_channel_logout.KIND,
        okta_event_hook.KIND,
        keycloak.KIND,
        ldap.KIND,
        graph.KIND,
        signal_stream.KIND,
    )
}


_read = partial(settings_of_kind, kinds=KINDS, common=CommonDoorSettings)
DoorSettings = Annotated[CommonDoorSettings, PlainValidator(_read)]
