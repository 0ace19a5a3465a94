"""JSON as producers may send it: strict UTF-8, one meaning per member, bounded depth (RFC 8259, RFC 7493)."""

import json
import math
from typing import Final

MAX_DEPTH: Final = 32
"""Levels of objects and arrays a whole event may have; the event itself is the first."""


class MalformedJsonError(ValueError):
    """The bytes are not JSON that every reader understands in the same way."""


def decode(body: bytes, *, max_depth: int = MAX_DEPTH) -> object:
    """Return the JSON value in *body*.

    Raises MalformedJsonError on a byte order mark, bytes or escapes that are not UTF-8 text, duplicate members,
    NaN and numbers beyond a double, and more than *max_depth* levels. The error never carries the body.
    """
    try:
        text = body.decode()
        value: object = _DECODER.decode(text)
        _refuse_lone_surrogates(text, value)
    except (ValueError, RecursionError):
        # Not chained: json's and UTF-8's own errors carry the whole body.
        raise MalformedJsonError("not strict JSON") from None
    most_levels = text.count("{") + text.count("[")  # counted far faster than the levels are walked
    if most_levels > max_depth and _deeper_than(value, max_depth):
        raise MalformedJsonError("nested too deeply")
    return value


def _object(members: list[tuple[str, object]]) -> dict[str, object]:
    unique = dict(members)
    if len(unique) != len(members):
        raise MalformedJsonError("duplicate member")
    return unique


def _finite(literal: str) -> float:
    number = float(literal)
    if math.isinf(number):
        raise MalformedJsonError("number beyond a double")
    return number


def _refuse_constant(_name: str) -> object:
    raise MalformedJsonError("not a JSON number")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_object, parse_float=_finite, parse_constant=_refuse_constant)


def _refuse_lone_surrogates(text: str, value: object) -> None:
    # UTF-8 itself has no surrogates, so only an escape can bring one in.
    if "\\ud" in text or "\\uD" in text:
        json.dumps(value, ensure_ascii=False).encode()


def _deeper_than(node: object, levels: int) -> bool:
    if not isinstance(node, dict | list):
        return False
    children = list(node.values()) if isinstance(node, dict) else node
    return levels == 0 or any(_deeper_than(child, levels - 1) for child in children)
