"""The word of the process that made a dead letter: a MAC over all of it, without which no replay vouches for it.

Between the death and the replay a letter lies in a database, which others may write. Whoever changes a row there, or
adds one, has no key to make its MAC.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from hashlib import sha256

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tasks.records import DeadLetter


class LetterMac:
    """Makes and checks the MACs of dead letters. Processes with the same *secret* believe each other."""

    def __init__(self, secret: bytes) -> None:
        self._key = HKDF(SHA256(), 32, salt=None, info=b"revoker: MAC of a kept dead letter").derive(secret)

    def put_on(self, letter: DeadLetter) -> DeadLetter:
        """*letter* with a MAC over every field of it, its body by its digest."""
        return letter.model_copy(update={"mac": self._mac(letter)})

    def covers(self, letter: DeadLetter) -> bool:
        """Whether *letter* is still what a process of ours made, its body included."""
        told = (letter.mac or "").encode()
        return hmac.compare_digest(told, self._mac(letter).encode()) and _has_its_body(letter)

    def _mac(self, letter: DeadLetter) -> str:
        """Over the fields that were set: one that a later version adds changes no MAC of before."""
        told = letter.model_dump(mode="json", exclude_defaults=True, exclude={"mac", "body"})
        return hmac.new(self._key, json.dumps(told, sort_keys=True).encode(), sha256).hexdigest()


def _has_its_body(letter: DeadLetter) -> bool:
    if letter.body is None:
        return True
    try:
        return sha256(base64.b64decode(letter.body, validate=True)).hexdigest() == letter.body_sha256
    except binascii.Error:
        return False
