"""The door of the console: who makes a request, and how somebody comes to be known."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from http import HTTPStatus
from typing import Final
from urllib.parse import quote, unquote

from aiohttp import web
from aiohttp.typedefs import Handler

from tasks.providers.http import open_session
from worker.console.desk import Desk
from worker.console.doors import address_of
from worker.console.forms import local
from worker.console.pages import render
from worker.console.sign_in.by_oidc import CALLBACK, ByOidc
from worker.console.sign_in.by_password import ByPassword
from worker.console.sign_in.cookies import SESSION, SIGN_IN, Purpose, cookie_of, set_cookie
from worker.console.sign_in.delays import Delays, TooManyAttempts
from worker.console.sign_in.foreign_pages import LOGGED_OUT, SAFE
from worker.console.sign_in.idp import IdentityProvider
from worker.console.sign_in.person import NotSignedIn, Person
from worker.console.sign_in.roles import OPERATOR
from worker.console.sign_in.sessions import Sessions
from worker.ledger import LedgerUnavailable
from worker.operations.console_users import read_users

logger = logging.getLogger(__name__)

PAGE: Final = "/sign-in"
TO_OIDC: Final = "/sign-in/oidc"
OUT: Final = "/sign-out"
SIGN_IN_TIME: Final = 600  # seconds that somebody may take at the OpenID provider
STILL_INTERVAL: Final = 0.9  # seconds between two looks whether a session of open streams stands
STREAM: Final = "text/event-stream"
_OPEN: Final = frozenset({PAGE, TO_OIDC, CALLBACK, LOGGED_OUT, OUT})  # to everybody
ENDED: Final = b"event: ended\ndata: \n\n"  # what a stream says to a page whose session is over
LONGEST_WAY_BACK: Final = 2048  # characters: a cookie has room for it


class SignIn:
    """Knows who makes each request, and has the pages on which somebody signs in and out."""

    def __init__(self, desk: Desk) -> None:
        self._desk, self._console = desk, desk.settings.console
        self._sessions = Sessions(desk.settings, desk.ledger)
        self._by_password = ByPassword(self._console.users_file, self._sessions, desk.ledger)
        self._by_oidc: ByOidc | None = None
        self._delays = Delays()
        self._stood: dict[str, tuple[float, bool]] = {}  # for the streams: when it was asked, and the answer
        self._one_by_one = ThreadPoolExecutor(1, "password")  # 64 MiB for each: strangers decide how many come

    def install(self, app: web.Application) -> None:
        """Add the pages to *app*, and what is open while it runs."""
        app[_SIGN_IN] = self
        app.cleanup_ctx.append(self._opened)
        app.router.add_get(PAGE, self._page)
        app.router.add_post(PAGE, self._with_password)
        app.router.add_post(OUT, self._out)
        if self._console.oidc:
            app.router.add_get(TO_OIDC, self._to_oidc)
            app.router.add_get(CALLBACK, self._from_oidc)
            app.router.add_post(LOGGED_OUT, self._ended)

    @web.middleware
    async def admit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer *request* for whoever is signed in; anybody else is asked to sign in."""
        if request.path in _OPEN or request.path.startswith("/static/"):
            return await handler(request)
        is_navigation = request.headers.get("Sec-Fetch-Mode", "navigate") == "navigate"
        is_at_work = request.method not in SAFE or is_navigation  # not what a page fetches by itself
        session = await self._desk.glance(self._sessions.find, self._secret(request))
        if session is not None:
            if is_at_work and self._sessions.is_due(session):
                await self._desk.ask(self._sessions.touch, session)
            request[OPERATOR] = self._sessions.whose(session)
            return await handler(request)
        if request.headers.get("Accept") == STREAM:  # whoever opens one is told no status
            return web.Response(body=ENDED, content_type=STREAM)
        if request.method in SAFE and is_navigation:
            raise web.HTTPSeeOther(f"{PAGE}?next={quote(request.path_qs, safe='')}")
        raise web.HTTPUnauthorized(text="you are not signed in, or not any more: sign in, and repeat it")

    async def still(self, request: web.Request) -> bool:
        """Whether the session of *request* stands, long after it began: as of at most STILL_INTERVAL ago."""
        secret, now = self._secret(request), time.monotonic()
        at, stands = self._stood.get(secret, (-STILL_INTERVAL, True))
        if now - at >= STILL_INTERVAL:
            self._stood = {each: it for each, it in self._stood.items() if now - it[0] < STILL_INTERVAL}
            self._stood[secret] = now, stands
            with suppress(LedgerUnavailable):  # what streams tell then is that it is away
                stands = await self._desk.glance(self._sessions.find, secret) is not None
            self._stood[secret] = now, stands
        return stands

    async def _opened(self, _app: web.Application) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.callback(self._one_by_one.shutdown, cancel_futures=True)
            if self._console.oidc and self._console.public_url:
                oidc = self._console.oidc
                session = await stack.enter_async_context(open_session(connections=4, tls=oidc.tls))
                self._by_oidc = ByOidc(oidc, self._console.public_url, IdentityProvider(oidc, session))
            yield

    async def _page(self, request: web.Request) -> web.StreamResponse:
        return await self._asking(request, _next(request.query.get("next", "")))

    async def _asking(self, request: web.Request, path: str, fault: str = "") -> web.Response:
        users = await self._desk.ask(read_users, self._console.users_file)
        return render(
            request,
            "sign_in.html",
            status=HTTPStatus.FORBIDDEN if fault else HTTPStatus.OK,
            fault=fault,
            next=path,
            has_users=bool(users),
            oidc=f"{TO_OIDC}?next={quote(path, safe='')}" if self._by_oidc else "",
        )

    async def _with_password(self, request: web.Request) -> web.StreamResponse:
        form = await _form(request)
        name, password, path = (form.get(each, "") for each in ("name", "password", "next"))
        address = address_of(request)
        try:
            await asyncio.sleep(self._delays.wait(name, address))
            loop = asyncio.get_running_loop()
            person = await loop.run_in_executor(self._one_by_one, self._by_password.person, name, password)
        except TooManyAttempts:
            raise web.HTTPTooManyRequests(text="too many attempts from your address wait: come again later") from None
        except NotSignedIn as error:
            self._delays.failed(name, address)
            return await self._refused(request, error, _next(path))
        self._delays.succeeded(name)
        return await self._let_in(request, person, _next(path))

    async def _to_oidc(self, request: web.Request) -> web.StreamResponse:
        path = _next(request.query.get("next", ""))
        try:
            url, secret = await self._oidc.way_there()
        except NotSignedIn as error:
            return await self._refused(request, error, path)
        response = web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": url})
        self._set_cookie(response, request, SIGN_IN, f"{secret}.{quote(path, safe='')}", SIGN_IN_TIME)
        return response

    async def _from_oidc(self, request: web.Request) -> web.StreamResponse:
        secret, _, path = cookie_of(request, self._console, SIGN_IN).partition(".")
        path = _next(unquote(path))
        try:
            answer = {name: request.query.getall(name) for name in request.query}
            person = await self._oidc.person(answer, secret)
        except NotSignedIn as error:
            return await self._refused(request, error, path)
        return await self._let_in(request, person, path)

    async def _ended(self, request: web.Request) -> web.StreamResponse:
        """The OpenID provider says that somebody signed out there (OpenID Connect Back-Channel Logout 1.0)."""
        form = await _form(request)
        try:
            subject, session = await self._oidc.ended(form.get("logout_token", ""))
        except NotSignedIn as error:
            logger.warning("console.logout_refused", extra={"why": error.why, "address": address_of(request)})
            raise web.HTTPBadRequest(text="no logout token that the OpenID provider signed for this console") from None
        count = await self._desk.ask(self._sessions.end_at_idp, subject, session)
        logger.info("console.sessions_ended", extra={"by": "openid provider", "count": count})
        return web.Response()

    async def _out(self, request: web.Request) -> web.StreamResponse:
        await self._desk.ask(self._sessions.end, self._secret(request))
        response = web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": PAGE})
        self._set_cookie(response, request, SESSION, "", 0)
        return response

    async def _let_in(self, request: web.Request, person: Person, path: str) -> web.StreamResponse:
        await self._desk.ask(self._sessions.end, self._secret(request))  # of who sat there before
        begun = await self._desk.ask(self._sessions.begin, person, address_of(request))
        about = {"operator": person.name, "role": person.role.value, "session_id": begun.signed_in.session_id}
        logger.info("console.signed_in", extra={**about, "means": person.means, "address": address_of(request)})
        response = web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": path})
        self._set_cookie(response, request, SESSION, begun.secret)
        self._set_cookie(response, request, SIGN_IN, "", 0)
        return response

    async def _refused(self, request: web.Request, error: NotSignedIn, path: str) -> web.Response:
        about = {"why": error.why, "account": error.account, "address": address_of(request)}
        logger.warning("console.sign_in_refused", extra=about)
        response = await self._asking(request, path, str(error))
        self._set_cookie(response, request, SIGN_IN, "", 0)
        return response

    @property
    def _oidc(self) -> ByOidc:
        if self._by_oidc is None:
            raise web.HTTPNotFound(text="there is no OpenID provider here: console.oidc")
        return self._by_oidc

    def _secret(self, request: web.Request) -> str:
        return cookie_of(request, self._console, SESSION)

    def _set_cookie(
        self, response: web.Response, request: web.Request, purpose: Purpose, value: str, max_age: int | None = None
    ) -> None:
        set_cookie(response, request, self._console, purpose, value, max_age=max_age)


_SIGN_IN: Final = web.AppKey("sign_in", SignIn)


async def still_signed_in(request: web.Request) -> bool:
    """Whether the session of *request* stands, long after it began: a stream asks now and then."""
    door = request.app.get(_SIGN_IN)
    return door is None or await door.still(request)


def _next(path: str) -> str:
    """Return *path* where it leads to a page of the console, else the first page."""
    return local(path, "/") if len(path) <= LONGEST_WAY_BACK else "/"


async def _form(request: web.Request) -> dict[str, str]:
    """Return the texts of a form. Raises HTTPBadRequest where it cannot be read."""
    try:
        return {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
    except (ValueError, LookupError):  # of its coding, which the sender names
        raise web.HTTPBadRequest(text="the form cannot be read: send it as UTF-8") from None
