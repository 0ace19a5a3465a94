"""The requests of a declared provider, made of its table and of what a call is about."""

from dataclasses import replace
from typing import Any

from yarl import URL

from tasks.providers.declared.calls import Described, Exchange, ListCall, SessionCall
from tasks.providers.declared.credentials import Borne
from tasks.providers.declared.lists import query_of
from tasks.providers.declared.steps import Step, Whom
from tasks.providers.declared.templates import encoded, filled, parsed
from tasks.providers.provider import Request, endpoint


def request_of(api: str, step: Step, whom: Whom, borne: Borne) -> Request:
    """Return the request of *step* below *api*, about *whom*. Raises ValueError for what would be another endpoint."""
    asked, line = step.asked, parsed(step.asked.request)
    content, content_type = encoded(*_body(step, whom, borne))
    sent = {"Accept": "application/json", **content_type, **asked.headers, **borne.headers}
    token = (whom.token,) if whom.token is not None and whom.token not in borne.secrets else ()
    query = "&".join(filter(None, (line.query, query_of(asked, whom.values) if isinstance(asked, ListCall) else "")))
    url = endpoint(api, *(whom.values.get(each, each) for each in line.segments), query=query, ending=line.ending)
    return Request(line.method, url, sent, content, (*borne.secrets, *token))


def page_of(first: Request, url: URL) -> Request:
    """Return *first* for the page at *url*: asked as the first one was."""
    return replace(first, url=url)


def proof_of(step: Step) -> Step:
    """Return *step* with the request of its probe, which bears what the call bore."""
    call = step.call
    assert call.probe is not None, "only what has a probe is proved"  # noqa: S101 - whoever calls looked
    asked = call.model_copy(update={"request": call.probe.request})
    if parsed(asked.request).method in {"GET", "HEAD"}:
        asked = asked.model_copy(update={"json_": None, "form": {}})
    return replace(step, call=asked, asked=asked)


def _body(step: Step, whom: Whom, borne: Borne) -> tuple[Any, dict[str, str]]:
    """The JSON, or the form; the user's own token stands in that of the call itself, where the table says so."""
    asked = step.asked
    body: Any = filled(asked.json_, whom.values) if asked.json_ is not None else None
    form = {**asked.form, **borne.form}
    if whom.token is not None and (member := _member(step.call, asked)):
        if step.call.credential.startswith("form:"):  # type: ignore[union-attr] # a session's
            form[member] = whom.token.get_secret_value()
        else:
            body = {**(body or {}), member: whom.token.get_secret_value()}
    return body, form


def _member(call: Described, asked: Exchange) -> str | None:
    return call.member if isinstance(call, SessionCall) and asked is call else None
