"""The fingerprint of a cause: dead letters that have the same one are mended by the same remedy."""

import hashlib
from typing import Final

from tasks.records import DeadLetter
from tasks.sealing import SealProblem

# Of a letter's detail, in this order: the provider's own word for its refusal, the rule of ours that refused an event,
# and the last refusal of a call whose budget ended. What a provider makes up for each request (a correlation id) is
# none of them: it would group nothing.
CODES: Final = ("code", "res_code", "data_res_code", "rule", "last")


def fingerprint(letter: DeadLetter) -> str:
    """Six hex digits that group the dead letters of one kind, provider, operation, reason and code.

    Where the detail names a problem (`crypto.seal` has several), it makes a group of its own; so does each missing key.
    """
    problem = letter.detail.get("problem")
    kid = letter.detail.get("kid", "") if problem == SealProblem.UNKNOWN_KEY else ""
    known = (letter.kind, letter.provider or "", letter.operation or "", letter.reason)
    codes = [f"{name}={letter.detail[name]}" for name in CODES if name in letter.detail]
    parts = (*known, problem, kid) if problem else known
    return hashlib.sha256("\n".join([*parts, *codes]).encode()).hexdigest()[:6]
