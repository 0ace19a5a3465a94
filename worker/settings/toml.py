"""A document as TOML (https://toml.io/en/v1.0.0): what tomllib reads, written."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")


def toml_lines(document: Mapping[str, Any], table: str = "") -> Iterator[str]:
    """*document*, of texts, numbers, truth values, lists and tables, line by line; below *table* where one is named."""
    values = {key: value for key, value in document.items() if not isinstance(value, Mapping)}
    if table and (values or not document):
        yield f"\n[{table}]"
    yield from (f"{_key(key)} = {_value(value)}" for key, value in values.items())
    for key, value in document.items():
        if isinstance(value, Mapping):
            yield from toml_lines(value, f"{table}.{_key(key)}" if table else _key(key))


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _value(key)


def _value(value: Any) -> str:  # noqa: ANN401 - whatever JSON can hold
    """A JSON text or number is one in TOML, too, but for DEL; what is beyond ASCII stands as it is."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_key(key)} = {_value(each)}' for key, each in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
