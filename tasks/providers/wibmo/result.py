"""What stands inside an answer of Wibmo's token service: success in exactly one reading, a refusal, or neither."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from tasks.providers import contradictions
from tasks.providers.answers import StatusMeaning

_CODE: Final = "resCode"
_DATA: Final = "data"
_DESCRIPTION: Final = "resdesc"  # as _folded
_SUCCESS: Final = re.compile(r"(?<![a-z])(success(ful(ly)?)?|ok)(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Result:
    """ACCEPTED, DEAD (a readable refusal) or DOUBTED; *codes* are the outer resCode and, where there is one, data's."""

    meaning: StatusMeaning
    codes: tuple[object, ...] = ()


def read_result(members: Mapping[str, object], success: Collection[object]) -> Result:
    """Return what *members* say; *success* are the codes that mean it.

    The published shapes are a `resCode`, and a `resCode` with a `data` object that has its own. Any code of the two
    that is no success is a refusal. A success is one only where nothing else in the document speaks of a failure: a
    code that stands deeper, a `resDesc`, a member named for errors, a text that is a document itself.
    """
    if _CODE not in members:
        return Result(StatusMeaning.DOUBTED)
    data = members.get(_DATA)
    codes = (members[_CODE], *((data[_CODE],) if isinstance(data, dict) and _CODE in data else ()))
    if not all(_means_success(code, success) for code in codes):
        return Result(StatusMeaning.DEAD, codes)
    has_known_shape = data is None or isinstance(data, dict)
    everything = contradictions.everything_in(members)
    denied = contradictions.denies_success(members) or any(_contradicts(*each, success) for each in everything)
    return Result(StatusMeaning.ACCEPTED if has_known_shape and not denied else StatusMeaning.DOUBTED, codes)


def _means_success(code: object, success: Collection[object]) -> bool:
    return type(code) in {int, str} and code in success  # True equals 1, and 100.0 equals 100


def _contradicts(name: str, value: object, success: Collection[object]) -> bool:
    """Whether a member, at any depth of a success, says otherwise."""
    folded = contradictions.folded(name)
    if folded == _CODE.casefold():
        return name != _CODE or not _means_success(value, success)
    if isinstance(value, str):
        return contradictions.speaks_of_failure(value) or (folded == _DESCRIPTION and not _SUCCESS.search(value))
    return folded == _DESCRIPTION and value is not None
