"""The classic mistakes of a definition, each by its name: a table that has one does not load."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Final

from pydantic import JsonValue

from tasks.providers.answers import Answer
from tasks.providers.declared.calls import (
    Described,
    Example,
    Exchange,
    ListCall,
    SessionCall,
    StatusCall,
    UserCall,
    exchanges_of,
    placeholders_of,
)
from tasks.providers.declared.jobs import job_of
from tasks.providers.declared.lists import BadListError, as_object, items_of
from tasks.providers.declared.outcomes import Meaning, Reader, pairs, unreachable
from tasks.providers.declared.templates import leaves, parsed

_REDIRECTS: Final = range(300, 400)
_SUCCESSES: Final = range(200, 300)
_OWN_REFUSALS: Final = frozenset({401, 403, 407})
_PASSING: Final = frozenset({408, 425, 429, *range(500, 600)})
_PLAIN_RULE: Final = re.compile(r"uuid|number|[A-Za-z0-9_{},\[\]-]+")  # admits nothing that has a meaning in a query


def mistakes(call: Described, *, own_credential: bool) -> Iterator[str]:
    """Yield what is wrong with *call* and its parts, each fault with its setting and its name."""
    for name, asked in exchanges_of(call).items():
        place = f"{name[1:]}." if name else ""
        for fault in _of_exchange(call, asked, own_credential=own_credential):
            yield place + fault
    yield from _of_call(call)


def _of_exchange(call: Described, asked: Exchange, *, own_credential: bool) -> Iterator[str]:
    yield from _of_placeholders(call, asked)
    yield from _of_rows(asked, own_credential=own_credential)
    yield from _of_reach(asked)
    yield from _of_examples(asked, own_credential=own_credential)


def _of_call(call: Described) -> Iterator[str]:
    if isinstance(call, SessionCall):
        yield from _of_session(call)
    if call.probe is not None:
        _, allowed = placeholders_of(call, call)
        if stray := _used(parsed(call.probe.request).segments) - allowed:
            yield f"probe.request: wrong_placeholder: {' '.join(sorted(stray))} stands for nothing there"
    yield from _of_status(call)
    if isinstance(call, UserCall) and call.list_:
        yield from _of_listing(call, call.list_)


def _of_status(call: Described) -> Iterator[str]:
    is_begun = any(row.means is Meaning.BEGUN for row in call.outcomes)
    if is_begun != (call.status is not None):
        yield "status: begun_without_status: a row means begun, and status says how to ask on; or neither does"
    for number, each in enumerate(call.examples, start=1):
        if call.status and each.means is Meaning.BEGUN and job_of(call.status, answer_of(each)) is None:
            yield f"examples.{number}: no_job: it names nothing at `job` of the form of `job_id`: what is asked about?"


def _of_listing(call: UserCall, asked: ListCall) -> Iterator[str]:
    if call.probe:
        yield "probe: two_proofs: the empty list is the proof already"
    if any(row.means is Meaning.BEGUN for row in asked.outcomes):
        yield "list.outcomes: begun_without_status: a list is there at once, or it is none"
    is_within = any("{user_id}" in text != "{user_id}" for text in asked.query.values())
    if is_within and not _PLAIN_RULE.fullmatch(call.user_id):
        yield "list.query: placeholder_in_text: a user_id of letters, digits, - and _ alone may stand within text"
    yield from _of_items(asked)


def _of_items(asked: ListCall) -> Iterator[str]:
    """An example must show where the ids are; and the empty list, which is what is called OUT."""
    lengths = set()
    for number, each in enumerate(asked.examples, start=1):
        if each.means is Meaning.ACCEPTED:
            try:
                lengths.add(bool(items_of(asked, answer_of(each, asked))))
            except BadListError as error:
                yield f"list.examples.{number}: no_list: {error}"
    if lengths != {True, False}:
        yield "list.examples: list_not_shown: examples must show a list with items, and the empty one"


def _of_session(call: SessionCall) -> Iterator[str]:
    if call.credential == "reference" and call.reference is None:
        yield "reference: no_reference_rule: say which references there are: they stand where endpoints stand"
    where, _, member = call.credential.partition(":")
    if member and ((where == "form" and call.json_ is not None) or (where == "json" and call.form)):
        yield "credential: two_bodies: the token goes into the body that there is"
    if member and member in {**call.form, **(call.json_ or {})}:
        yield "credential: member_taken: the body has that member already"


def mistakes_of_form(call: Described, members: frozenset[str]) -> Iterator[str]:
    """Yield what keeps *members* of a form, which show our credential, from going into *call*, its parts and probe."""
    every = exchanges_of(call).values()
    requests = [*(each.request for each in every), *([call.probe.request] if call.probe else [])]
    credential = call.credential if isinstance(call, SessionCall) else ""
    is_json = any(each.json_ is not None for each in every) or credential.startswith("json:")
    if members and (is_json or any(parsed(each).method in {"GET", "HEAD"} for each in requests)):
        yield "request: no_form: this scheme puts the credential into a form: no JSON body has one, nor has a GET"
    used = {credential.partition(":")[2], *(name for each in every for name in each.form)}
    if taken := sorted(members.intersection(used)):
        yield f"form: member_taken: auth fills in {taken[0]}"


def _used(parts: Iterable[JsonValue]) -> set[str]:
    return {each for each in parts if isinstance(each, str) and each.startswith("{")}


def _of_placeholders(call: Described, asked: Exchange) -> Iterator[str]:
    needed, allowed = placeholders_of(call, asked)
    used = _used([*parsed(asked.request).segments, *leaves(asked.json_)])
    if isinstance(asked, ListCall):
        used |= {each for text in asked.query.values() for each in re.findall(r"\{[^}]*\}?|\}", text)}
    if not needed <= used <= allowed:
        yield f"request: wrong_placeholder: path and body must hold {' '.join(sorted(needed)) or 'none'}, and no other"
    if asked.json_ is not None and asked.form:
        yield "form: two_bodies: json and form are both set"


def _of_rows(asked: Exchange, *, own_credential: bool) -> Iterator[str]:
    for number, row, status in pairs(asked.outcomes):
        place, means = f"outcomes.{number}", row.means
        if status not in range(200, 600):
            yield f"{place}: no_status: {status} is no status of an answer"
        elif status in _REDIRECTS and means is not Meaning.DEAD:
            yield f"{place}: redirect_as_success: a redirect is followed by nobody, and is dead"
        elif own_credential and status in _OWN_REFUSALS and means.is_success:
            yield f"{place}: refusal_as_success: {status} refuses our own credential, and says nothing of the user"
        elif status == 401 and means.is_success and not row.tells_of_token:  # noqa: PLR2004 - the number is the name
            yield f"{place}: silence_as_success: a 401 says that the token is dead only by a challenge or a member"
        elif means in {Meaning.ACCEPTED, Meaning.BEGUN} and status not in _SUCCESSES:
            yield f"{place}: failure_as_success: {status} is no 2xx: already_revoked, or no success"
        elif means.is_success and status in _PASSING:
            yield f"{place}: failure_as_success: {status} is a failure that passes"
        elif means is Meaning.CREDENTIAL and not own_credential:
            yield f"{place}: no_own_credential: the call bears none of ours that could be refused"


def _of_reach(asked: Exchange) -> Iterator[str]:
    for number, earlier in unreachable(asked.outcomes):
        yield f"outcomes.{number}: unreachable_row: row {earlier} takes all its answers"
    successes = {status for row in asked.outcomes if row.means.is_success for status in row.statuses}
    is_begun = any(row.means is Meaning.BEGUN for row in asked.outcomes) and not isinstance(asked, StatusCall)
    if not is_begun and not any(row.means is Meaning.ACCEPTED for row in asked.outcomes):
        yield "outcomes: no_success: no row means accepted"
    bare = {status for row in asked.outcomes if row.is_bare for status in row.statuses}
    for status in sorted(successes.intersection(_SUCCESSES) - bare):
        yield f"outcomes: success_without_meaning: say what a {status} means that fits no row: a last row without json"


def _of_examples(asked: Exchange, *, own_credential: bool) -> Iterator[str]:
    reader = Reader(asked.outcomes, asked.default, own_credential=own_credential)
    answers = [(each, answer_of(each, asked)) for each in asked.examples]
    for number, (example, answer) in enumerate(answers, start=1):
        if (read := reader.read(answer)[0]) is not example.means:
            yield f"examples.{number}: example_disagrees: by the rows it is {read}, not {example.means}"
    shown = {next((n for n, row in enumerate(asked.outcomes) if row.fits(answer)), None) for _, answer in answers}
    for number in sorted(set(range(len(asked.outcomes))) - shown):
        yield f"outcomes.{number + 1}: no_example: an example must show the row at work"


def answer_of(example: Example, asked: Exchange | None = None) -> Answer:
    """Return *example* as an answer; as *asked* reads it."""
    body = b"" if example.json_ is None else json.dumps(example.json_).encode()
    usual = {"Content-Type": "application/json"} if body else {}
    answer = Answer(example.status, usual | {name.title(): value for name, value in example.headers.items()}, body)
    return as_object(answer) if isinstance(asked, ListCall) else answer
