"""What each broker user may touch, and no more: whoever takes over one process gets no further.

A pattern names exchanges to write to, and queues to read from (https://www.rabbitmq.com/docs/access-control). The file
`docker/rabbitmq-definitions.json` holds the same for the virtual host `/`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from tasks.events import EVENT_TYPES
from worker.broker.topology import EVENTS

_NOTHING: Final = "^$"
_OURS: Final = r"^(revocation\.|celery_delayed_)"


@dataclass(frozen=True, slots=True)
class Permissions:
    """Patterns of what a user may declare, write to and read from."""

    configure: str = _NOTHING
    write: str = _NOTHING
    read: str = _NOTHING


PRODUCER: Final = Permissions(write=r"^revocation\.events$")
# A producer too: what strangers say becomes events, and nothing else. Some say it over the broker.
DOOR: Final = "door"
OPERATOR: Final = "operator"
USERS: Final[Mapping[str, Permissions]] = {
    "intake": Permissions(
        write=r"^revocation\.(calls|outcomes(\.urgent)?|dead(\.unproved)?|events\.routine)$",
        read=r"^revocation\.intake(\.urgent)?$",
    ),
    "worker": Permissions(
        write=r"^(revocation\.(calls|events|outcomes(\.urgent)?|dead)|celery_delayed_27)$",
        read=r"^revocation\.(calls\..+|door)$",
    ),
    "recorder": Permissions(read=r"^revocation\.(dead(\.unproved)?|outcomes(\.urgent)?)$"),
    DOOR: replace(PRODUCER, read=r"^revocation\.doors\..+$"),
    OPERATOR: Permissions(_OURS, _OURS, _OURS),
}
"""Those of the processes, and of whoever types `revoker`."""


def permissions_of(user: str, permissions: Permissions, vhost: str) -> dict[str, Any]:
    """What a definitions file of RabbitMQ says of *user* in *vhost*."""
    return {"user": user, "vhost": vhost, **asdict(permissions)}


def topic_permissions_of(producer: str, types: Iterable[str], vhost: str) -> dict[str, Any]:
    """Likewise, of the routing keys of *producer*: *types* of events, of none all that revoke."""
    revoking = [name for name, each in EVENT_TYPES.items() if each.revokes]
    keys = "|".join(each.replace(".", r"\.") for each in sorted(types) or revoking)
    return {"user": producer, "vhost": vhost, "exchange": EVENTS.name, "write": f"^({keys})$", "read": _NOTHING}
