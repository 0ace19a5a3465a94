"""What a directory server refuses, as one error of ours that names nobody."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import ldap
from pyasn1.error import PyAsn1Error

# What a server says to a cookie that it cannot go on from: e-syncRefreshRequired (RFC 4533 section 3.3.2), OpenLDAP's
# unwillingToPerform where ours is newer than what it has, 389 DS's protocolError and operationsError.
_OF_COOKIE: Final = frozenset({4096, 53, 2, 1})


class DirectoryFailed(Exception):  # noqa: N818 - what is the case
    """A directory did not answer, or not with what was asked for."""

    def __init__(self, reason: str, *, is_of_cookie: bool = False) -> None:
        super().__init__(reason)
        self.is_of_cookie = is_of_cookie  # it may be our cookie: without one it may answer


@contextmanager
def translated() -> Iterator[None]:
    """Raise DirectoryFailed for what libldap, or the form of an answer, raises in the block; only TIMEOUT stays."""
    try:
        yield
    except ldap.TIMEOUT:
        raise
    except ldap.LDAPError as error:
        told = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
        code = told.get("result")
        raise DirectoryFailed(f"ldap.{type(error).__name__} {code}", is_of_cookie=code in _OF_COOKIE) from None
    except (PyAsn1Error, ValueError, KeyError, IndexError) as error:
        raise DirectoryFailed(f"an answer has not the form of the protocol ({type(error).__name__})") from None
