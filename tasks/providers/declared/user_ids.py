"""Which user ids a declared provider may be asked about: an id is a path segment, and its siblings are endpoints.

A rule is a named form, or a pattern in which every reader sees what it admits: characters, and classes of them, each
with how often. It has no alternatives, no dots and no stars, so the loader can say what it admits.
"""

import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from tasks.call import UUID_FORM

# Words that vendors use in place of an id, for the caller or for everybody, and segments that are no name at all.
SIBLINGS: Final = frozenset({"me", "self", "current", "all", "~", "-", "*", ".", "..", ""})
_FORMS: Final = {
    "uuid": UUID_FORM,
    "number": re.compile(r"[0-9]{1,20}", re.ASCII),
    "email": re.compile(r"[A-Za-z0-9_+-]+(\.[A-Za-z0-9_+-]+)*@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", re.ASCII),
}
_COUNT: Final = r"(\{[0-9]{1,3}(,[0-9]{1,3})?\})?"
_CLASS: Final = r"\[(?:[A-Za-z0-9]-[A-Za-z0-9]|[A-Za-z0-9_@+|:-])(?:[A-Za-z0-9]-[A-Za-z0-9]|[A-Za-z0-9_@+|.:-])*\]"
_PATTERN: Final = re.compile(rf"(?:(?:{_CLASS}|[A-Za-z0-9_@:-]){_COUNT})+", re.ASCII)


def _rule(value: str) -> str:
    if value in _FORMS:
        return value
    if not _PATTERN.fullmatch(value):
        raise ValueError(
            "unclear_user_id: must be uuid, number, email, or characters and classes with counts, e.g. 00u[a-z0-9]{17}"
        )
    try:
        pattern = re.compile(value, re.ASCII)
    except re.error:
        raise ValueError("unclear_user_id: a class runs backwards, or a count does") from None
    if any(pattern.fullmatch(form(each)) for each in SIBLINGS for form in (str.lower, str.upper, str.title)):
        raise ValueError("user_id_admits_sibling: admits `me`, `all`, dots or another word that is no user's id")
    return value


UserIdRule = Annotated[str, Field(max_length=128), AfterValidator(_rule)]


def is_user_id(rule: str, value: str) -> bool:
    """Whether *rule* admits *value*, which is no word for somebody else."""
    pattern = _FORMS.get(rule) or re.compile(rule, re.ASCII)
    return len(value) <= 128 and value.lower() not in SIBLINGS and pattern.fullmatch(value) is not None  # noqa: PLR2004 - as a call's


_ATOM: Final = re.compile(rf"({_CLASS}|[A-Za-z0-9_@:-]){_COUNT}", re.ASCII)
_SAMPLES: Final = {"uuid": "4f1d6a0e-8d5b-4b7e-9b0c-2a1f0d6c9e77", "number": "4711", "email": "ada@example.com"}


def sample(rule: str) -> str:
    """Return an id that *rule* admits: the shortest, of the first characters."""
    if rule in _SAMPLES:
        return _SAMPLES[rule]
    atoms = ((atom[1], atom[2] or "{1}") for atom in _ATOM.finditer(rule))
    return "".join(each.removeprefix("[")[0] * int(count.strip("{}").partition(",")[0]) for each, count in atoms)
