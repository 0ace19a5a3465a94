"""Where a message comes from, what proves it, and what of that a replay needs to prove it again.

A process of ours publishes replays, and what came through the Celery door, as another broker user. So it adds a
voucher: a MAC over the message, which names the user that RabbitMQ proved at first. Only processes of this installation
know the key; without a valid MAC our headers are a producer's claim and no more. The voucher proves who said something;
whether they may say it is checked again. It expires after some hours: whoever reads a queue may keep a message and
publish it again when nobody remembers it.

A dead letter has a MAC too, because it lies in a database which others may write before it is replayed.
"""

import base64
import binascii
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final, Self

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from kombu.message import Message

from tasks import records
from tasks.events.content_mode import attribute_headers
from tasks.events.plaintext import is_plaintext
from tasks.records import DeadLetter
from worker.broker import messages
from worker.broker.messages import body_of
from worker.broker.publication import Message as OutgoingMessage
from worker.settings import Settings

# Longer than a night in which no intake runs; deduplication remembers replays for longer than that.
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
MAX_HEADER: Final = 1024  # characters of a header of ours
Headers = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Provenance:
    """What is known of a message and of where it comes from."""

    body: bytes = field(repr=False)
    content_type: str | None
    user: str | None  # of the broker; RabbitMQ compared it with the connection that published
    signature: str | None  # not yet checked
    door: str | None  # the door of ours that it came in by
    is_binary: bool  # its attributes are headers, which no signature covers
    replays: int  # which replay this is
    only_provider: str | None  # a replay of one provider's part
    attributes: dict[str, str | int | bool] = field(repr=False)  # of a binary-mode event, as headers
    proofs: Headers = field(repr=False)  # the headers that prove something, whatever they hold
    letter: str | None = None  # the id of the dead letter that it is a replay of
    vouched_at: datetime | None = None
    voucher_expired: bool = False  # what it proves is true, and came too late to act on
    redelivered: bool = False  # as the broker says

    @property
    def headers(self) -> dict[str, str | int | bool]:
        """What a replay sends again: the attributes, and what proves as much as now."""
        return self.attributes | _worth_keeping(self.proofs)

    @property
    def digest(self) -> str:
        """Of everything that its replay would use: the same for each delivery of one message, and for nothing else."""
        beside = [self.content_type, self.only_provider, sorted(self.headers.items())]
        return records.digest(self.body, json.dumps(beside).encode())

    @property
    def carried(self) -> dict[str, Any]:
        """What a dead letter keeps of it for a replay: the body, how it is coded, attributes and proofs."""
        body = base64.b64encode(self.body).decode()
        return {"body": body, "content_type": self.content_type, "headers": self.headers}


class LetterMac:
    """Signs and verifies dead letters. Processes with the same *secret* believe each other."""

    def __init__(self, secret: bytes) -> None:
        self._key = _key(secret, b"revoker: MAC of a kept dead letter")

    def sign(self, letter: DeadLetter) -> DeadLetter:
        """*letter* with a MAC over each of its fields; the digest stands for its body."""
        return letter.model_copy(update={"mac": self._mac(letter)})

    def verify(self, letter: DeadLetter) -> bool:
        """Whether *letter* is still what a process of ours made, its body included."""
        return hmac.compare_digest((letter.mac or "").encode(), self._mac(letter).encode()) and _has_its_body(letter)

    def _mac(self, letter: DeadLetter) -> str:
        """Over the fields that were set: a field that a later version adds changes no older MAC."""
        covered = letter.model_dump(mode="json", exclude_defaults=True, exclude={"mac", "body"})
        return hmac.new(self._key, json.dumps(covered, sort_keys=True).encode(), sha256).hexdigest()


class ProvenanceMac:
    """Signs and verifies messages (with a voucher) and dead letters (`letters`) of processes with the same *secret*."""

    def __init__(self, secret: bytes, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.letters = LetterMac(secret)
        self._now = now
        self._key = _key(secret, b"revoker: voucher of an event's origin")

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """That of an installation: the key of its subject index, which all its processes have, serves as the secret."""
        return cls(settings.subject_key.get_secret_value().encode())

    def sign(self, message: OutgoingMessage) -> OutgoingMessage:
        """*message* with a voucher made now for its body, content type and headers as they are."""
        headers = {**message.headers, messages.VOUCHED_AT: int(self._now().timestamp() * 1000)}
        mac = self._mac(message.body, message.content_type, headers)
        return replace(message, headers={**headers, messages.VOUCHER: mac})

    def carry_over(self, message: Message, to: OutgoingMessage) -> OutgoingMessage:
        """*to*, a copy of *message* that this process publishes, with headers that prove what *message* proves."""
        headers = message.headers or {}
        kept = _scalars(headers) | attribute_headers(headers)
        if self._verified(message, headers) is not None:
            return replace(to, headers=kept)
        others = {name: value for name, value in kept.items() if name not in {*_OURS, messages.VOUCHER}}
        user = _text(message.properties.get("user_id"))
        return self.sign(replace(to, headers={**others, messages.USER: user})) if user else replace(to, headers=others)

    def verify(self, message: Message) -> Provenance:
        """The provenance of *message*. Our headers count only under a valid voucher."""
        headers = message.headers or {}
        verified = self._verified(message, headers)
        ours = {messages.USER: _text(message.properties.get("user_id"))} if verified is None else verified
        replays, signature = ours.get(messages.REPLAYS), _text(headers.get(messages.SIGNATURE))
        proofs, attributes = {**ours, messages.SIGNATURE: signature}, attribute_headers(headers)
        vouched_at = _time(ours.get(messages.VOUCHED_AT))
        return Provenance(
            body=body_of(message),
            content_type=message.content_type,
            user=_text(ours.get(messages.USER)),
            signature=signature,
            door=_text(ours.get(messages.DOOR)),
            is_binary=bool(attributes),
            replays=replays if isinstance(replays, int) else 0,
            only_provider=_text(ours.get(messages.REPLAY_PROVIDER)),
            attributes=attributes,
            proofs={name: proofs.get(name) for name in _PROOFS},
            letter=_text(ours.get(messages.LETTER)),
            vouched_at=vouched_at,
            voucher_expired=verified is not None and not self._is_fresh(vouched_at),
            redelivered=bool(message.delivery_info.get("redelivered")),
        )

    def _is_fresh(self, vouched_at: datetime | None) -> bool:
        """A voucher without a time is of a version that wrote none."""
        return vouched_at is not None and abs(self._now() - vouched_at) <= VOUCHER_LIFE

    def _verified(self, message: Message, headers: Headers) -> Headers | None:
        """Our headers of *message*; None where no valid voucher covers them."""
        voucher = _text(headers.get(messages.VOUCHER))
        if voucher is None or not voucher.isascii():
            return None
        mac = self._mac(body_of(message), message.content_type, headers)
        return {name: headers.get(name) for name in _OURS} if hmac.compare_digest(voucher, mac) else None

    def _mac(self, body: bytes, content_type: str | None, headers: Headers) -> str:
        covered = _scalars({name: headers.get(name) for name in {*_OURS, *_PROOFS}}) | attribute_headers(headers)
        beside = json.dumps([content_type, covered], sort_keys=True).encode()  # holds no line break
        return hmac.new(self._key, beside + b"\n" + body, sha256).hexdigest()


def _key(secret: bytes, purpose: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=purpose).derive(secret)


def _has_its_body(letter: DeadLetter) -> bool:
    if letter.body is None:
        return True
    try:
        return sha256(base64.b64decode(letter.body, validate=True)).hexdigest() == letter.body_sha256
    except binascii.Error:
        return False


def _worth_keeping(proofs: Headers) -> dict[str, str | int | bool]:
    """Without tokens in clear: a token in the place of a proof proves nothing."""
    return {name: value for name, value in _scalars(proofs).items() if not is_plaintext(str(value))}


def _scalars(headers: Headers) -> dict[str, str | int | bool]:
    return {name: value for name, value in headers.items() if isinstance(value, str | int | bool)}


def _text(value: object) -> str | None:
    """*value* if it is a line of text: a producer may write anything, and a dead letter keeps it."""
    return value if isinstance(value, str) and value.isprintable() and len(value) <= MAX_HEADER else None


def _time(milliseconds: object) -> datetime | None:
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if isinstance(milliseconds, int) else None
