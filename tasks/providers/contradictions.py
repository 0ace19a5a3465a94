"""Contradictions inside an answer, at any depth: a success that names a failure or a living token."""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final

_OF_FAILURE: Final = re.compile(r"(is|has)?(errors?|failed|failure|fault|exception)|error(code|message|desc(ription)?)")
_OF_SUCCESS: Final = re.compile(r"(is)?(success|successful|succeeded|ok)")
_OF_STATUS: Final = frozenset(["status", "statuscode", "httpstatus", "httpstatuscode", "httpcode"])
_OF_RESULT: Final = _OF_STATUS | {"result", "outcome", "state"}
_LIVING: Final = re.compile(r"(is)?(token|session)?(active|alive|living)")  # names of what is true of a living token
_OF_LIFE: Final = re.compile(r"(token|session)(status|state)")
_ALIVE: Final = re.compile(r"(still )?(active|alive|valid|living)", re.IGNORECASE)
_UNTRUE: Final = frozenset({"", "0", "false", "no", "none", "null", "[]", "{}", "()"})
_SUCCESSES: Final = range(200, 300)
_STATUS: Final = re.compile(r"[1-5][0-9]{2}")
_FAILURE: Final = re.compile(
    r"(?<![a-z])(fail\w*|errors?|exception|denied|refus\w+|reject\w*|invalid|unauthori[sz]ed|forbidden|expired|not|no"
    r"|un\w*success\w*|cannot|can't|unable|unknown|unavailable|unexpected|partial\w*|incomplete|pending|queued|ignored"
    r"|time(d )?-?out|abort\w*|but|however)(?![a-z])",
    re.IGNORECASE,
)


def folded(name: str) -> str:
    """*name* of a member without what styles of writing put into it."""
    return re.sub(r"[-_ .]", "", name).casefold()


def speaks_of_failure(text: str) -> bool:
    """Whether *text*, for people, tells of something that went wrong, or is a document itself."""
    return _FAILURE.search(text) is not None or text.lstrip()[:1] in {"{", "["}


def denies_success(node: object) -> bool:
    """Whether a member at any depth of *node* says that what was asked for was not done."""
    return any(_denies(folded(name), value) for name, value in everything_in(node))


def _denies(name: str, value: object) -> bool:
    if _OF_FAILURE.fullmatch(name) or _LIVING.fullmatch(name):
        return _is_true(value)
    if _OF_SUCCESS.fullmatch(name):
        return not _is_true(value)
    if isinstance(value, str) and _OF_LIFE.fullmatch(name) and _ALIVE.fullmatch(value.strip()):
        return True
    if name in _OF_STATUS and _is_status(value, lambda status: status not in _SUCCESSES):
        return True
    return name in _OF_RESULT and isinstance(value, str) and speaks_of_failure(value)


def other_status(node: object, status: int) -> bool:
    """Whether a member at any depth of *node* tells of another HTTP status than *status*."""
    members = ((folded(name), value) for name, value in everything_in(node))
    return any(name in _OF_STATUS and _is_status(value, lambda told: told != status) for name, value in members)


def texts_in(node: object) -> Iterator[str]:
    """Every text for people at any depth of *node*: links are left out, whose words are those of a place anyway."""
    texts = (value for _, value in everything_in(node) if isinstance(value, str))
    yield from (text for text in texts if not text.startswith(("https://", "http://")))


def everything_in(node: object, name: str = "") -> Iterator[tuple[str, object]]:
    """Every member below *node* with its name; the items of an array go by the name of the array."""
    for child_name, child in _members_of(node, name):
        yield child_name, child
        yield from everything_in(child, child_name)


def _members_of(node: object, name: str) -> Iterable[tuple[str, object]]:
    if isinstance(node, dict):
        return node.items()
    return ((name, each) for each in node) if isinstance(node, list) else ()


def _is_true(value: object) -> bool:
    """Whether *value*, written in whatever way, is neither nothing nor a no."""
    return str(value).strip().casefold() not in _UNTRUE


def _is_status(value: object, wanted: Callable[[int], bool]) -> bool:
    text = str(value).strip()
    return type(value) in {int, str} and _STATUS.fullmatch(text) is not None and wanted(int(text))
