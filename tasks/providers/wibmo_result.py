"""What stands inside an answer of Wibmo's token service: success in exactly one reading, a refusal, or neither."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from tasks.providers.answers import Verdict

_CODE: Final = "resCode"
_DATA: Final = "data"
_DESCRIPTION: Final = "resdesc"  # as _folded
_SUCCESS: Final = re.compile(r"(?<![a-z])(success(ful(ly)?)?|ok)(?![a-z])", re.IGNORECASE)
_FAILURE: Final = re.compile(
    r"(?<![a-z])(fail\w*|errors?|exception|denied|refus\w+|reject\w*|invalid|unauthori[sz]ed|forbidden|expired|not|no"
    r"|un\w*success\w*)(?![a-z])",
    re.IGNORECASE,
)
_OF_FAILURE: Final = frozenset({"error", "errors", "errorcode", "errormessage", "errordesc", "fault", "exception"})
_OF_SUCCESS: Final = frozenset({"success", "ok", "isok", "issuccess", "successful"})


@dataclass(frozen=True, slots=True)
class Result:
    """ACCEPTED, DEAD (a readable refusal) or DOUBTED; *codes* are the outer resCode and, where there is one, data's."""

    verdict: Verdict
    codes: tuple[object, ...] = ()


def read_result(members: Mapping[str, object], success: Collection[object]) -> Result:
    """Return what *members* say; *success* are the codes that mean it.

    The published shapes are a `resCode`, and a `resCode` with a `data` object that has its own. Any code of the two
    that is no success is a refusal. A success is one only where nothing else in the document speaks of a failure: a
    code that stands deeper, a `resDesc`, a member named for errors, a text that is a document itself.
    """
    if _CODE not in members:
        return Result(Verdict.DOUBTED)
    data = members.get(_DATA)
    codes = (members[_CODE], *((data[_CODE],) if isinstance(data, dict) and _CODE in data else ()))
    if not all(_means_success(code, success) for code in codes):
        return Result(Verdict.DEAD, codes)
    has_known_shape = data is None or isinstance(data, dict)
    speaks_of_failure = any(_contradicts(name, value, success) for name, value in _everything_in(members))
    return Result(Verdict.ACCEPTED if has_known_shape and not speaks_of_failure else Verdict.DOUBTED, codes)


def _means_success(code: object, success: Collection[object]) -> bool:
    return type(code) in {int, str} and code in success  # True equals 1, and 100.0 equals 100


def _contradicts(name: str, value: object, success: Collection[object]) -> bool:
    """Whether a member, at any depth of a success, says otherwise."""
    folded = name.replace("_", "").replace("-", "").casefold()
    if folded == _CODE.casefold():
        return name != _CODE or not _means_success(value, success)
    if folded in _OF_FAILURE:
        return bool(value)
    if folded in _OF_SUCCESS and isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return _speaks_of_failure(value) or (folded == _DESCRIPTION and not _SUCCESS.search(value))
    return folded == _DESCRIPTION and value is not None


def _speaks_of_failure(text: str) -> bool:
    return _FAILURE.search(text) is not None or text.lstrip()[:1] in {"{", "["}


def _everything_in(node: object, name: str = "") -> Iterator[tuple[str, object]]:
    """Every member below *node* with its name; the items of an array go by the name of the array."""
    for child_name, child in _members_of(node, name):
        yield child_name, child
        yield from _everything_in(child, child_name)


def _members_of(node: object, name: str) -> Iterable[tuple[str, object]]:
    if isinstance(node, dict):
        return node.items()
    return ((name, each) for each in node) if isinstance(node, list) else ()
