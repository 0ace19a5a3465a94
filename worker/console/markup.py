"""What a page may have hundreds of, made here and not by a template's macro, which takes five times as long."""

import re
from functools import lru_cache
from typing import Final

from markupsafe import Markup, escape

from worker.operations.text import counted, plain

LONGEST: Final = 160  # characters of a text that a table shows; the rest can be opened
WORD: Final = 24  # characters of a text that is not taken apart where it fits
_NOTHING: Final = Markup("–")
_BREAKS: Final = re.compile(r"([._/:]|@)(?=\w)")
_TONES: Final = {
    "good": (
        *("serving", "accepted", "confirmed", "already_revoked", "covered", "no_session_known", "superseded", "done"),
        *("yes", "expired"),
    ),
    "wait": (*("held", "partly held", "partial", "in_part", "enabled", "unproved", "withheld", "paused", "stopped"),),
    "busy": ("replayed", "retrying", "planned", "claimed", "running"),
    "bad": ("dead", "failed", "missing", "no"),
}
_TONE_OF: Final = {word: tone for tone, words in _TONES.items() for word in words}


def breakable(value: str) -> Markup:
    """Return *value* as it is shown, with places where a narrow column may break it."""
    shown = str(escape(plain(value)))
    return Markup(_BREAKS.sub(r"\1<wbr>", shown))  # noqa: S704 - it is escaped


def text(value: str | None) -> Markup:
    """Return a text of somebody else's: the beginning of a long one, and all of it where that is asked for."""
    if not value:
        return _NOTHING
    if len(value) <= LONGEST:
        kind = ' class="word"' if len(value) <= WORD else ""
        return Markup(f"<bdi{kind}>{breakable(value)}</bdi>")  # noqa: S704 - likewise
    start, length, whole = plain(value[:LONGEST]), counted(len(value)), plain(value)
    return Markup(
        '<details class="long"><summary><bdi>{}</bdi>… <span class="note">{} characters</span></summary><bdi>{}</bdi>'
        "</details>"
    ).format(start, length, whole)


@lru_cache(maxsize=200)  # words of ours
def state(word: str, tone: str = "") -> Markup:
    """Return how something stands: a sign and a word, and never a colour alone."""
    shown = plain(word.replace("_", " "))
    kind = f"{tone or _TONE_OF.get(word, 'plain')}{' words' if ' ' in shown else ''}"
    return Markup('<span class="state {}">{}</span>').format(kind, shown)
