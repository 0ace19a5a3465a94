"""What goes wrong becomes a page that says what to do."""

import logging
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from worker.broker.publication import PublishError
from worker.console.pages import render
from worker.ledger import DeadLetterAmbiguous, DeadLetterNotFound, JobAmbiguous, JobNotFound, LedgerUnavailable
from worker.operations import RefusedRequest

logger = logging.getLogger(__name__)

AWAY: Final = 503  # the status of a page whose ledger or broker is away: what a browser shows it may keep
_STATUSES: Final[dict[type[Exception], int]] = {
    **dict.fromkeys((LedgerUnavailable, PublishError), AWAY),
    **dict.fromkeys((DeadLetterNotFound, JobNotFound), 404),
    **dict.fromkeys((DeadLetterAmbiguous, JobAmbiguous), 409),
}
_TITLES: Final = {
    400: "That cannot be read",
    401: "Not signed in",
    403: "Not allowed",
    404: "Nothing is there",
    405: "Not like this",
    409: "That is not clear",
    410: "That is over",
    413: "That is too much",
    421: "Another name",
    422: "That cannot be done",
    429: "Too many attempts",
    500: "A fault of the console",
    AWAY: "The ledger or the broker is away",
}
_ADVICE: Final = {
    401: "Open this address anew, sign in, and do it again: nothing was changed.",
    AWAY: "Nothing is lost: what happens meanwhile waits in the broker. Try again in a moment; `revoker doctor` finds "
    "out why.",
    500: "The console's log shows what it was. The command line does the same work.",
}


@web.middleware
async def errors_as_pages(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer *request*; what its handler raises becomes a page with the right status."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < web.HTTPBadRequest.status_code:
            raise
        return _page(request, error.status, error.text or error.reason)
    except tuple(_STATUSES) as error:
        status = next(code for kind, code in _STATUSES.items() if isinstance(error, kind))
        return _page(request, status, str(error))
    except RefusedRequest as error:
        return _page(request, 422, str(error))
    except Exception:
        logger.exception("console.fault", extra={"path": request.path})
        return _page(request, 500, "Something went wrong that nobody foresaw.")


def _page(request: web.Request, status: int, text: str) -> web.Response:
    title, advice = _TITLES.get(status, "That did not work"), _ADVICE.get(status, "")
    return render(request, "error.html", status=status, title=title, text=text, advice=advice)
