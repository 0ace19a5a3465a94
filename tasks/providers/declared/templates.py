"""How a definition writes a request: `DELETE /users/{user_id}/sessions`, and bodies in which leaves are filled in.

A placeholder is a whole path segment, or a whole leaf of a body: never a part of one, and never in a host or a query.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Final
from urllib.parse import urlencode

from pydantic import AfterValidator, Field, JsonValue

PLACEHOLDERS: Final = frozenset({"{user_id}", "{reference}", "{item}", "{job}"})
_SEGMENT: Final = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._~:@!$'()*+,;=-]+|\{[a-z_]+\}")
_QUERY: Final = re.compile(r"[A-Za-z0-9._~-]+=[A-Za-z0-9._~:/-]*(&[A-Za-z0-9._~-]+=[A-Za-z0-9._~:/-]*)*")
_METHOD: Final = re.compile(r"GET|HEAD|POST|PUT|PATCH|DELETE")
_CREDENTIAL: Final = re.compile(r"\{(token|access_token|jwe|credential|secret)\}")
_OF_TOKEN: Final = re.compile(r"(^|&)(access_|refresh_|id_)?(token|key|api_?key|secret|password)=", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Line:
    """A request's first line, taken apart."""

    method: str
    segments: tuple[str, ...]
    query: str
    ending: str  # a slash behind the last segment, or the whole path; or nothing


def parsed(line: str) -> Line:
    """Return *line* taken apart; it was checked when it was read."""
    method, _, target = line.partition(" ")
    path, _, query = target.partition("?")
    return Line(method, tuple(filter(None, path.split("/"))), query, "/" if path.endswith("/") else "")


def _request(line: str) -> str:
    method, _, target = line.partition(" ")
    path, mark, query = target.partition("?")
    if _CREDENTIAL.search(target) or _OF_TOKEN.search(query):
        raise ValueError("token_in_url: a URL is written into logs on its way: use `credential`, which keeps out of it")
    if not _METHOD.fullmatch(method) or not path.startswith("/"):
        raise ValueError("must be a method and a path, e.g. DELETE /users/{user_id}/sessions")
    if "{" in query:
        raise ValueError("placeholder_in_query: a placeholder stands as a path segment or as a leaf of the body")
    if mark and not _QUERY.fullmatch(query):
        raise ValueError("must have a query of the form name=value&name=value, or none")
    segments = [] if path == "/" else path[1:].removesuffix("/").split("/")
    if not all(map(_SEGMENT.fullmatch, segments)):
        raise ValueError("must have a path of plain segments; a placeholder is a whole one, and none is `.` or `..`")
    if unknown := [each for each in segments if each.startswith("{") and each not in PLACEHOLDERS]:
        raise ValueError(f"unknown_placeholder: {unknown[0]} is none of {', '.join(sorted(PLACEHOLDERS))}")
    return line


def _body(body: JsonValue) -> JsonValue:
    for leaf in leaves(body):
        if isinstance(leaf, str) and "{" in leaf and leaf not in PLACEHOLDERS:
            raise ValueError(f"unknown_placeholder: a leaf is text, or one of {', '.join(sorted(PLACEHOLDERS))} alone")
    return body


QueryName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._~$-]{1,64}$")]
RequestLine = Annotated[str, Field(max_length=512), AfterValidator(_request)]
JsonBody = Annotated[dict[str, JsonValue], AfterValidator(_body)]


def leaves(node: JsonValue) -> Iterator[JsonValue]:
    """Yield every value in *node* that holds no other."""
    if isinstance(node, dict | list):
        for each in node.values() if isinstance(node, dict) else node:
            yield from leaves(each)
    else:
        yield node


def filled(node: JsonValue, values: Mapping[str, str]) -> JsonValue:
    """Return *node* with *values* where their placeholders stood."""
    if isinstance(node, dict):
        return {name: filled(each, values) for name, each in node.items()}
    if isinstance(node, list):
        return [filled(each, values) for each in node]
    return values.get(node, node) if isinstance(node, str) else node


def encoded(json_body: JsonBody | None, form: Mapping[str, str]) -> tuple[bytes | None, Mapping[str, str]]:
    """Return the body and its header: JSON, a form, or neither."""
    if json_body is not None:
        return json.dumps(json_body).encode(), {"Content-Type": "application/json"}
    if form:
        return urlencode(form).encode(), {"Content-Type": "application/x-www-form-urlencoded"}
    return None, {}
