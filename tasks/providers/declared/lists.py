"""What a list of a user's sessions holds: the ids of its items.

Nothing is passed over. A list that cannot be read whole is no list: an item too few would be a session that lives.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final
from urllib.parse import quote

from tasks.providers.answers import Answer
from tasks.providers.declared.calls import ListCall
from tasks.providers.declared.outcomes import at
from tasks.providers.declared.user_ids import is_user_id

MAX_PAGES: Final = 20  # of one look
MAX_PAGE: Final = 1024 * 1024  # bytes of one: whoever has a thousand sessions must not be safe by that
MAX_ITEMS: Final = 100  # of one look: the next one finds the others


class BadListError(ValueError):
    """The answer is no list of the form that the table tells; the text shows nothing of it, and *problem* names it."""

    def __init__(self, problem: str, text: str) -> None:
        super().__init__(text)
        self.problem = problem


def as_object(answer: Answer) -> Answer:
    """Return *answer*; where its body is a list itself, as an object that has it as `items`."""
    if not answer.body.lstrip().startswith(b"["):
        return answer
    return replace(answer, body=b'{"items": ' + answer.body + b"}")


def items_of(asked: ListCall, answer: Answer) -> tuple[str, ...]:
    """Return the ids of the items in *answer*. Raises BadListError where one of them has none that *asked* admits."""
    found = at(answer.document(), asked.items)
    if not isinstance(found, Sequence) or isinstance(found, str):
        raise BadListError("no_list", f"there is no list at {asked.items}")
    ids = [_text(at(each, asked.id)) for each in found]
    if not all(is_user_id(asked.item, each) for each in ids):
        raise BadListError("bad_item", f"an item has no {asked.id} of the form that `item` tells")
    return tuple(dict.fromkeys(ids))


def _text(value: object) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def query_of(asked: ListCall, values: Mapping[str, str]) -> str:
    """Return the query of the first page, coded."""
    told = {name: text.replace("{user_id}", values.get("{user_id}", "")) for name, text in asked.query.items()}
    return "&".join(f"{quote(name, safe='')}={quote(text, safe='')}" for name, text in told.items())
