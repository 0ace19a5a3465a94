"""What a message brings along to prove who said it, and what of that a replay needs to prove it again.

A replay, and what came through the Celery door, is published by a process of ours with another broker user. So it
carries a voucher: a MAC over the message, which tells the user that RabbitMQ vouched for at first. Its key is known to
the processes of this installation only; headers that are not under it are a producer's, and no more than a claim. It
vouches for who said something, never for an admission: the check is made again.
"""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, Self

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tasks.events import attribute_headers
from tasks.events.plaintext import is_plaintext
from worker import messages
from worker.batch_consumer import body_of

if TYPE_CHECKING:
    from kombu.message import Message

    from worker.publisher import Message as Publication
    from worker.settings import Settings

_OURS: Final = (messages.USER, messages.DOOR, messages.REPLAYS, messages.REPLAY_PROVIDER)
_PROOFS: Final = (messages.USER, messages.DOOR, messages.SIGNATURE)
LONGEST: Final = 1024  # characters of a header of ours
Headers = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a message and of where it comes from."""

    body: bytes = field(repr=False)
    content_type: str | None
    user: str | None  # of the broker; RabbitMQ compared it with the connection that published
    signature: str | None  # not yet looked at
    through_door: bool  # published by the worker for somebody who could have written provider calls
    is_binary: bool  # its attributes are headers, which no signature covers
    replays: int  # which replay this is
    only_provider: str | None  # a replay of one provider's part
    # What a replay sends again: the attributes of a binary-mode event, and what proves as much as now.
    headers: dict[str, str | int | bool] = field(repr=False)

    @property
    def carried(self) -> dict[str, Any]:
        """What a dead letter keeps of it for a replay: the body, how it is coded, attributes and proofs."""
        body = base64.b64encode(self.body).decode()
        return {"body": body, "content_type": self.content_type, "headers": self.headers}


class Voucher:
    """The installation's own word on a message. Processes with the same *secret* believe each other."""

    def __init__(self, secret: bytes) -> None:
        self._key = HKDF(SHA256(), 32, salt=None, info=b"revoker: voucher of an event's origin").derive(secret)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """That of an installation: the key of its subject index, which all its processes have, serves as the secret."""
        return cls(settings.subject_key.get_secret_value().encode())

    def put_on(self, message: Publication) -> Publication:
        """*message* with a voucher for its body, content type and headers, as they are now."""
        mac = self._mac(message.body, message.content_type, message.headers)
        return replace(message, headers={**message.headers, messages.VOUCHER: mac})

    def evidence(self, message: Message) -> Evidence:
        """What *message* brings along; headers of ours count under a voucher only."""
        headers = message.headers or {}
        ours = self._vouched(message, headers)
        if ours is None:
            ours = {messages.USER: _text(message.properties.get("user_id"))}
        replays, signature = ours.get(messages.REPLAYS), _text(headers.get(messages.SIGNATURE))
        proofs, attributes = {**ours, messages.SIGNATURE: signature}, attribute_headers(headers)
        return Evidence(
            body=body_of(message),
            content_type=message.content_type,
            user=_text(ours.get(messages.USER)),
            signature=signature,
            through_door=ours.get(messages.DOOR) is True,
            is_binary=bool(attributes),
            replays=replays if isinstance(replays, int) else 0,
            only_provider=_text(ours.get(messages.REPLAY_PROVIDER)),
            headers=attributes | _worth_keeping({name: proofs.get(name) for name in _PROOFS}),
        )

    def _vouched(self, message: Message, headers: Headers) -> Headers | None:
        """The headers of ours that *message* has; None where it has no voucher for them."""
        told = _text(headers.get(messages.VOUCHER))
        if told is None or not told.isascii():
            return None
        mac = self._mac(body_of(message), message.content_type, headers)
        return {name: headers.get(name) for name in _OURS} if hmac.compare_digest(told, mac) else None

    def _mac(self, body: bytes, content_type: str | None, headers: Headers) -> str:
        covered = _scalars({name: headers.get(name) for name in _OURS}) | attribute_headers(headers)
        told = json.dumps([content_type, covered], sort_keys=True).encode()  # holds no line break
        return hmac.new(self._key, told + b"\n" + body, sha256).hexdigest()


def _worth_keeping(proofs: Headers) -> dict[str, str | int | bool]:
    """No token in clear: who puts one where a proof should be proves nothing."""
    return {name: value for name, value in _scalars(proofs).items() if not is_plaintext(str(value))}


def _scalars(headers: Headers) -> dict[str, str | int | bool]:
    return {name: value for name, value in headers.items() if isinstance(value, str | int | bool)}


def _text(value: object) -> str | None:
    """*value* if it is a line of text: what a producer wrote may be anything, and is kept in a dead letter."""
    return value if isinstance(value, str) and value.isprintable() and len(value) <= LONGEST else None
