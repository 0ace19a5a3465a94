"""Who is signed in, and what their role lets them do."""

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from worker.settings.console_sign_in import Role

__all__ = ["OPERATOR", "Role", "SignedIn", "require_operator", "signed_in"]


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Somebody who is signed in; *session_id* is no secret: the audit and other operators see it."""

    name: str
    role: Role
    session_id: str


OPERATOR: Final = web.RequestKey("operator", SignedIn)
"""Where a request keeps who makes it."""


def signed_in(request: web.Request) -> SignedIn:
    """Return who makes *request*."""
    return request[OPERATOR]


def require_operator(request: web.Request) -> SignedIn:
    """Return who makes *request*. Raises HTTPForbidden for somebody who may not change anything."""
    found = signed_in(request)
    if found.role is not Role.OPERATOR:
        raise web.HTTPForbidden(text=f"{found.name} may look, and change nothing: this needs the role operator")
    return found
