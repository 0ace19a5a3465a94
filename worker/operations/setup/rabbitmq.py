"""Users of RabbitMQ: one for each process and each producer, with a password that is made and shown to nobody.

A definitions file holds hashes of the passwords (https://www.rabbitmq.com/docs/passwords), so the broker can take it in
whole, and no password stands on a command line.
"""

import base64
import hashlib
import json
import secrets
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote

from worker import broker
from worker.broker.permissions import PRODUCER, USERS, permissions_of, topic_permissions_of

_SALT: Final = 4  # bytes, as RabbitMQ's own
_STRENGTH: Final = 32  # random bytes of a password


def new_passwords(users: Iterable[str]) -> dict[str, str]:
    """A new password for each of *users*."""
    return {user: secrets.token_urlsafe(_STRENGTH) for user in users}


def user_of(place: str, name: str) -> str:
    """The user called *name* of the broker at *place*.

    The broker may serve others, and an import replaces the password of a user that it knows: so names begin with that
    of the virtual host.
    """
    vhost = broker.vhost(place)
    return f"{'revoker' if vhost == '/' else vhost}-{name}"


def url_of(place: str, name: str, password: str) -> str:
    """Where the user called *name* finds the broker at *place*, a URL without any; of several brokers, at each."""
    userinfo = f"{quote(user_of(place, name), safe='')}:{quote(password, safe='')}"
    brokers = (each.partition("://") for each in place.split(";"))
    return ";".join(f"{scheme}://{userinfo}@{rest}" for scheme, _, rest in brokers)


def definitions_of_processes(place: str, passwords: Mapping[str, str]) -> bytes:
    """The virtual host of *place*, and the processes' users, who may do their job there and nothing else."""
    vhost, users = str(broker.vhost(place)), {name: user_of(place, name) for name in USERS}
    return _definitions(
        vhosts=[{"name": vhost}],
        users=[_user(user, passwords[name]) for name, user in users.items()],
        permissions=[permissions_of(user, USERS[name], vhost) for name, user in users.items()],
    )


def definitions_of_producer(place: str, name: str, password: str, types: Iterable[str]) -> bytes:
    """The user of a producer, whose routing keys are those of *types* of events; of none: all that revoke."""
    vhost, user = str(broker.vhost(place)), user_of(place, name)
    return _definitions(
        users=[_user(user, password)],
        permissions=[permissions_of(user, PRODUCER, vhost)],
        topic_permissions=[topic_permissions_of(user, types, vhost)],
    )


def _definitions(**parts: list[dict[str, Any]]) -> bytes:
    return f"{json.dumps(parts, indent=2)}\n".encode()


def _user(name: str, password: str) -> dict[str, Any]:
    salt = secrets.token_bytes(_SALT)
    hashed = base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()
    algorithm = "rabbit_password_hashing_sha256"
    return {"name": name, "password_hash": hashed, "hashing_algorithm": algorithm, "tags": ""}
