"""Pages from templates: all that is shown is escaped, and shows nothing that passes for something else."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from worker.console.headers import nonce_of
from worker.console.markup import WORD, breakable, state, text
from worker.console.sign_in.roles import OPERATOR
from worker.console.static_files import StaticFiles
from worker.operations.text import age, counted, plain, rfc3339, short_duration

STATIC: Final = web.AppKey("static", StaticFiles)


def render(request: web.Request, template: str, status: int = HTTPStatus.OK, **values: Any) -> web.Response:  # noqa: ANN401 - as the template needs them
    """Return the page that *template* makes of *values*."""
    common = {
        "operator": request.get(OPERATOR),
        "nonce": nonce_of(request),
        "static": request.app[STATIC].path,
        "here": request.path_qs,
        "path": request.path,
        "now": datetime.now(UTC),
        "environment": request.app[ENVIRONMENT],
        "pages": {each.canonical for each in request.app.router.resources()},
    }
    page = _environment().get_template(template).render(common | values)
    return web.Response(text=page, status=status, content_type="text/html")


ENVIRONMENT: Final = web.AppKey("environment", str)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("worker.console"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: Mapping[str, Any] = {
        "counted": counted,
        "age": age,
        "rfc3339": rfc3339,
        "span": _span,
        "seconds": _seconds,
        "breakable": breakable,
        "text": text,
        "state": state,
    }
    environment.filters.update(filters)
    environment.globals.update(WORD=WORD)
    return environment


def _shown(value: object) -> object:
    """What a template shows of *value*: of a text no character that acts, turns the direction or has no width."""
    if value is None:
        return ""
    return plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _span(value: timedelta) -> str:
    return short_duration(value)


def _seconds(value: float | None) -> str:
    """*value* seconds as a table shows them: two digits where they say something."""
    if value is None:
        return ""
    return f"{value:.2f} s" if value < 10 else short_duration(timedelta(seconds=value))  # noqa: PLR2004 - two digits
