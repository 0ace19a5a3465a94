"""The next page of a list: where it is, and that it lies where our credential may go."""

import re
from typing import Final

from yarl import URL

from tasks.providers.answers import Answer
from tasks.providers.declared.calls import ListCall
from tasks.providers.declared.lists import BadListError
from tasks.providers.declared.outcomes import at

_NEXT_LINK: Final = re.compile(r"<([^<>]{1,2048})>[^<>]*;[ \t]*rel=\"?next\"?(?=[ \t]*(?:[;,]|$))", re.IGNORECASE)


def next_page(asked: ListCall, answer: Answer, base_url: str) -> URL | None:
    """Return the address of the page after *answer*; None after the last one.

    Raises BadListError where it does not lead on below *base_url*: whoever answers does not choose who gets our
    credential.
    """
    link = _link(asked, answer)
    if link is None:
        return None
    base = URL(base_url, encoded=True)
    try:
        url = base.join(URL(link, encoded=True))
        is_below = url.origin() == base.origin() and url.raw_path.startswith(base.raw_path.rstrip("/") + "/")
    except ValueError:
        is_below = False
    if not is_below or url.user or _has_dots(url):
        raise BadListError("bad_page", "the next page is not below base_url")
    return url.with_fragment(None)


def _has_dots(url: URL) -> bool:
    """Whether a segment is one of dots to whoever decodes it first."""
    decoded = (each for part in url.parts for each in part.replace("\\", "/").split("/"))
    return not {".", ".."}.isdisjoint([*url.raw_parts, *decoded])


def _link(asked: ListCall, answer: Answer) -> str | None:
    if asked.next is None:
        return None
    kind, _, name = asked.next.partition(":")
    link = _in_header(answer, name) if kind == "header" and name else at(answer.document(), asked.next)
    if link in (None, ""):
        return None
    if not isinstance(link, str) or not link.isascii() or not link.isprintable() or " " in link:
        raise BadListError("bad_page", f"{asked.next} is no address")
    return link


def _in_header(answer: Answer, name: str) -> str | None:
    found = _NEXT_LINK.search(answer.headers.get(name, ""))
    return found[1] if found else None
