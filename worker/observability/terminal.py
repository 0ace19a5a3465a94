"""Texts on a terminal: nothing that somebody wrote into a name acts on it, or passes for another name."""

import unicodedata
from collections.abc import Callable
from typing import Final

# Escapes, changes of line and direction, characters without a width, tags, halves and those of private use: what a
# producer put into a name must not act on an operator's terminal, nor pass for another name.
_ACTIVE: Final = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})  # general categories of the Unicode standard


def without_active(text: str, stand_in: Callable[[str], str]) -> str:
    """*text* with a *stand_in* for each character that would act on a terminal."""
    if text.isprintable():
        return text
    return "".join(stand_in(each) if unicodedata.category(each) in _ACTIVE else each for each in text)
