"""The passport of an event that an operator sent on its way: it is not held back again.

An HMAC (RFC 2104) over exactly this message, with a key derived from the installation's own: who can publish cannot
make one, and a copied one is good for the same event only, which was let through already.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Self

from tasks.events import attribute_headers
from tasks.subject import SubjectIndex

_PURPOSE: Final = b"passport of an event"


@dataclass(frozen=True, slots=True)
class Passports:
    """Makes and checks passports."""

    key: bytes = field(repr=False)

    @classmethod
    def of(cls, subjects: SubjectIndex) -> Self:
        """Those of the installation whose subject index this is; no hash of the index is ever a passport."""
        return cls(hmac.digest(subjects.key, _PURPOSE, hashlib.sha256))

    def issue(self, body: bytes, content_type: str | None, headers: Mapping[str, object]) -> str:
        """The passport of a message, 64 hex digits; of *headers* those count that carry the event's attributes."""
        envelope = json.dumps([content_type, sorted(attribute_headers(headers).items())]).encode()
        return hmac.new(self.key, envelope + b"\n" + body, hashlib.sha256).hexdigest()

    def is_valid(self, shown: object, body: bytes, content_type: str | None, headers: Mapping[str, object]) -> bool:
        """Whether *shown* is the passport of that message."""
        expected = self.issue(body, content_type, headers)
        return isinstance(shown, str) and shown.isascii() and hmac.compare_digest(shown, expected)
