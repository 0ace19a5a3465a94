"""What a message brings along to prove who said it, and what of that a replay needs to prove it again.

A replay, and what came through the Celery door, is published by a process of ours with another broker user. So it
carries a voucher: a MAC over the message, which tells the user that RabbitMQ vouched for at first. Its key is known to
the processes of this installation only; headers that are not under it are a producer's, and no more than a claim. It
vouches for who said something, never for an admission: the check is made again. It dies after some hours: whoever reads
a queue may keep a message, and publish it once more when nobody remembers it.
"""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, Self

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tasks import records
from tasks.events import attribute_headers
from tasks.events.plaintext import is_plaintext
from worker.broker import messages
from worker.broker.batch_consumer import body_of
from worker.broker.letter_mac import LetterMac

if TYPE_CHECKING:
    from kombu.message import Message

    from worker.broker.publisher import Message as Publication
    from worker.settings import Settings

# Longer than a night in which no intake runs; the memory keeps replays for longer than that.
VOUCHER_LIFE: Final = timedelta(hours=12)
_PROOFS: Final = (messages.USER, messages.DOOR, messages.SIGNATURE)
_OURS: Final = (
    messages.USER,
    messages.DOOR,
    messages.REPLAYS,
    messages.REPLAY_PROVIDER,
    messages.LETTER,
    messages.VOUCHED_AT,
)
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
    letter: str | None = None  # the id of the dead letter that it is a replay of
    vouched_at: datetime | None = None
    voucher_expired: bool = False  # what it proves is true, and came too late to act on
    redelivered: bool = False  # as the broker says

    @property
    def digest(self) -> str:
        """Of all that a replay of it would use: the same for each delivery of one message, and for nothing else."""
        told = [self.content_type, self.only_provider, sorted(self.headers.items())]
        return records.digest(self.body, json.dumps(told).encode())

    @property
    def carried(self) -> dict[str, Any]:
        """What a dead letter keeps of it for a replay: the body, how it is coded, attributes and proofs."""
        body = base64.b64encode(self.body).decode()
        return {"body": body, "content_type": self.content_type, "headers": self.headers}


class Voucher:
    """The installation's own word: on messages, and on dead letters. Processes with the same *secret* believe it.

    *now* tells the time, aware.
    """

    def __init__(self, secret: bytes, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.letters = LetterMac(secret)
        self._now = now
        self._key = HKDF(SHA256(), 32, salt=None, info=b"revoker: voucher of an event's origin").derive(secret)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """That of an installation: the key of its subject index, which all its processes have, serves as the secret."""
        return cls(settings.subject_key.get_secret_value().encode())

    def put_on(self, message: Publication) -> Publication:
        """*message* with a voucher of now for its body, content type and headers, as they are."""
        headers = {**message.headers, messages.VOUCHED_AT: int(self._now().timestamp() * 1000)}
        mac = self._mac(message.body, message.content_type, headers)
        return replace(message, headers={**headers, messages.VOUCHER: mac})

    def moved(self, message: Message, to: Publication) -> Publication:
        """*to*, a copy of *message* that this process publishes, with headers that prove as much as it does now."""
        headers = message.headers or {}
        kept = _scalars(headers) | attribute_headers(headers)
        if self._vouched(message, headers) is not None:
            return replace(to, headers=kept)
        told = {name: value for name, value in kept.items() if name not in {*_OURS, messages.VOUCHER}}
        user = _text(message.properties.get("user_id"))
        return self.put_on(replace(to, headers={**told, messages.USER: user})) if user else replace(to, headers=told)

    def evidence(self, message: Message) -> Evidence:
        """What *message* brings along; headers of ours count under a voucher only."""
        headers = message.headers or {}
        vouched = self._vouched(message, headers)
        ours = {messages.USER: _text(message.properties.get("user_id"))} if vouched is None else vouched
        replays, signature = ours.get(messages.REPLAYS), _text(headers.get(messages.SIGNATURE))
        proofs, attributes = {**ours, messages.SIGNATURE: signature}, attribute_headers(headers)
        vouched_at = _moment(ours.get(messages.VOUCHED_AT))
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
            letter=_text(ours.get(messages.LETTER)),
            vouched_at=vouched_at,
            voucher_expired=vouched is not None and not self._is_fresh(vouched_at),
            redelivered=bool(message.delivery_info.get("redelivered")),
        )

    def _is_fresh(self, vouched_at: datetime | None) -> bool:
        """One without a time is of a version that wrote none."""
        return vouched_at is not None and abs(self._now() - vouched_at) <= VOUCHER_LIFE

    def _vouched(self, message: Message, headers: Headers) -> Headers | None:
        """The headers of ours that *message* has; None where it has no voucher for them."""
        told = _text(headers.get(messages.VOUCHER))
        if told is None or not told.isascii():
            return None
        mac = self._mac(body_of(message), message.content_type, headers)
        return {name: headers.get(name) for name in _OURS} if hmac.compare_digest(told, mac) else None

    def _mac(self, body: bytes, content_type: str | None, headers: Headers) -> str:
        covered = _scalars({name: headers.get(name) for name in {*_OURS, *_PROOFS}}) | attribute_headers(headers)
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


def _moment(milliseconds: object) -> datetime | None:
    """What a voucher of ours says; nobody else's value gets here."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if isinstance(milliseconds, int) else None
