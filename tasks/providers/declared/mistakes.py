"""The classic mistakes of a definition, each by its name: a table that has one does not load."""

import json
from collections.abc import Iterator
from typing import Final

from tasks.providers.answers import Answer
from tasks.providers.declared.calls import Example, SessionCall, UserCall
from tasks.providers.declared.outcomes import Meaning, Reader, pairs, unreachable
from tasks.providers.declared.templates import leaves, parsed

_REDIRECTS: Final = range(300, 400)
_SUCCESSES: Final = range(200, 300)
_OWN_REFUSALS: Final = frozenset({401, 403, 407})
_PASSING: Final = frozenset({408, 425, 429, *range(500, 600)})


def mistakes(call: UserCall | SessionCall, *, own_credential: bool) -> Iterator[str]:
    """Yield what is wrong with *call*, each fault with its setting and its name."""
    yield from _of_placeholders(call)
    yield from _of_rows(call, own_credential=own_credential)
    yield from _of_reach(call)
    yield from _of_examples(call, own_credential=own_credential)


def _of_placeholders(call: UserCall | SessionCall) -> Iterator[str]:
    used = {each for each in (*parsed(call.request).segments, *leaves(call.json_)) if str(each).startswith("{")}
    wanted = {"{user_id}"} if hasattr(call, "user_id") else {"{reference}"} if call.credential == "reference" else set()
    if used != wanted:
        yield f"request: wrong_placeholder: path and body must hold {' '.join(wanted) or 'none'}, and no other"
    if getattr(call, "credential", "") == "reference" and call.reference is None:  # type: ignore[union-attr] # a session's
        yield "reference: no_reference_rule: say which references there are: they stand where endpoints stand"
    if call.json_ is not None and call.form:
        yield "form: two_bodies: json and form are both set"
    yield from _of_member(call)


def _of_member(call: UserCall | SessionCall) -> Iterator[str]:
    where, _, member = getattr(call, "credential", "").partition(":")
    if member and ((where == "form" and call.json_ is not None) or (where == "json" and call.form)):
        yield "credential: two_bodies: the token goes into the body that there is"
    if member and member in {**call.form, **(call.json_ or {})}:
        yield "credential: member_taken: the body has that member already"


def mistakes_of_form(call: UserCall | SessionCall, members: frozenset[str]) -> Iterator[str]:
    """Yield what keeps *members* of a form, which show our credential, from going into *call* and its probe."""
    requests = [call.request, *([call.probe.request] if call.probe else [])]
    is_json = call.json_ is not None or getattr(call, "credential", "").startswith("json:")
    if members and (is_json or any(parsed(each).method in {"GET", "HEAD"} for each in requests)):
        yield "request: no_form: this scheme puts the credential into a form: no JSON body has one, nor has a GET"
    if taken := sorted(members.intersection({*call.form, getattr(call, "credential", "").partition(":")[2]})):
        yield f"form: member_taken: auth fills in {taken[0]}"


def _of_rows(call: UserCall | SessionCall, *, own_credential: bool) -> Iterator[str]:
    for number, row, status in pairs(call.outcomes):
        place, means = f"outcomes.{number}", row.means
        if status not in range(200, 600):
            yield f"{place}: no_status: {status} is no status of an answer"
        elif status in _REDIRECTS and means is not Meaning.DEAD:
            yield f"{place}: redirect_as_success: a redirect is followed by nobody, and is dead"
        elif own_credential and status in _OWN_REFUSALS and means.is_success:
            yield f"{place}: refusal_as_success: {status} refuses our own credential, and says nothing of the user"
        elif status == 401 and means.is_success and not row.tells_of_token:  # noqa: PLR2004 - the number is the name
            yield f"{place}: silence_as_success: a 401 says that the token is dead only by a challenge or a member"
        elif means is Meaning.ACCEPTED and status not in _SUCCESSES:
            yield f"{place}: failure_as_success: {status} is no 2xx: already_revoked, or no success"
        elif means.is_success and status in _PASSING:
            yield f"{place}: failure_as_success: {status} is a failure that passes"
        elif means is Meaning.CREDENTIAL and not own_credential:
            yield f"{place}: no_own_credential: the call bears none of ours that could be refused"


def _of_reach(call: UserCall | SessionCall) -> Iterator[str]:
    for number, earlier in unreachable(call.outcomes):
        yield f"outcomes.{number}: unreachable_row: row {earlier} takes all its answers"
    successes = {status for row in call.outcomes if row.means.is_success for status in row.statuses}
    if not any(row.means is Meaning.ACCEPTED for row in call.outcomes):
        yield "outcomes: no_success: no row means accepted"
    bare = {status for row in call.outcomes if row.is_bare for status in row.statuses}
    for status in sorted(successes.intersection(_SUCCESSES) - bare):
        yield f"outcomes: success_without_meaning: say what a {status} means that fits no row: a last row without json"


def _of_examples(call: UserCall | SessionCall, *, own_credential: bool) -> Iterator[str]:
    reader = Reader(call.outcomes, call.default, own_credential=own_credential)
    answers = [(each, answer_of(each)) for each in call.examples]
    for number, (example, answer) in enumerate(answers, start=1):
        if (read := reader.read(answer)[0]) is not example.means:
            yield f"examples.{number}: example_disagrees: by the rows it is {read}, not {example.means}"
    shown = {next((n for n, row in enumerate(call.outcomes) if row.fits(answer)), None) for _, answer in answers}
    for number in sorted(set(range(len(call.outcomes))) - shown):
        yield f"outcomes.{number + 1}: no_example: an example must show the row at work"


def answer_of(example: Example) -> Answer:
    """Return *example* as an answer."""
    body = b"" if example.json_ is None else json.dumps(example.json_).encode()
    usual = {"Content-Type": "application/json"} if body else {}
    return Answer(example.status, usual | {name.title(): value for name, value in example.headers.items()}, body)
