"""URI references as RFC 3986 writes them."""

import re
from typing import Final

_PCHAR: Final = r"(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})"
_NAME: Final = r"(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*"
_USER: Final = r"(?:[A-Za-z0-9._~!$&'()*+,;=:-]|%[0-9A-Fa-f]{2})*"
_IP_LITERAL: Final = r"\[(?:[0-9A-Fa-f:.]+|v[0-9A-Fa-f]+\.[A-Za-z0-9._~!$&'()*+,;=:-]+)\]"

_URI_REFERENCE: Final = re.compile(
    # A scheme, or a first segment that cannot be mistaken for one (section 4.2).
    r"(?:[A-Za-z][A-Za-z0-9+.-]*:|(?![^/?#]*:))"
    rf"(?://(?:{_USER}@)?(?:{_IP_LITERAL}|{_NAME})(?::[0-9]*)?(?:/{_PCHAR}*)*|(?!//)(?:{_PCHAR}|/)*)"
    rf"(?:\?(?:{_PCHAR}|[/?])*)?(?:#(?:{_PCHAR}|[/?])*)?"
)


def uri_reference(text: str) -> str:
    """Return *text*, a URI reference by the grammar of RFC 3986 section 4.1.

    The digits inside a bracketed IPv6 address are not counted. Raises ValueError, without the text, for all else.
    """
    if _URI_REFERENCE.fullmatch(text) is None:
        raise ValueError("not a URI reference")
    return text
