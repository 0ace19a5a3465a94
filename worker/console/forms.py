"""Forms as they arrive: each field is read by itself, and a fault names it."""

from collections.abc import Callable
from typing import Any, Final, Protocol, TypeVar

from aiohttp import web

T = TypeVar("T")

MAX_COUNT: Final = 1_000_000


class Fields(Protocol):
    """The fields of an address or of a form, as aiohttp gives them."""

    def __contains__(self, name: object, /) -> bool:
        """Whether there is one of that name."""

    def get(self, name: str, usual: Any, /) -> Any:  # noqa: ANN401 - a text, or a file that nobody asked for
        """Return the first one of that name, or *usual*."""

    def getall(self, name: str, usual: list[Any], /) -> list[Any]:
        """Return every one of that name, or *usual*."""


def read(form: Fields, name: str, parse: Callable[[str], T], usual: str = "") -> T:
    """Return field *name* as *parse* reads it. Raises HTTPBadRequest, which names it and says what is wrong."""
    try:
        return parse(str(form.get(name, "")).strip() or usual)
    except ValueError as error:
        raise web.HTTPBadRequest(text=f"{name.replace('_', ' ')}: {error}") from None


def count(value: str) -> int | None:
    """Return a whole number from 1; None for nothing. Raises ValueError."""
    if not value:
        return None
    if not (value.isascii() and value.isdigit()) or not 0 < int(value) <= MAX_COUNT:
        raise ValueError(f"must be a whole number from 1 to {MAX_COUNT}, or empty")
    return int(value)


def local(path: str, usual: str) -> str:
    """Return *path* where it is one of this console; else *usual*."""
    is_local = path.startswith("/") and not path.startswith("//") and path.isascii() and path.isprintable()
    return path if is_local and "\\" not in path else usual
