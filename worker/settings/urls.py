"""The URLs of broker, ledger and Sentry, as settings take them and as texts may show them.

A library that meets an unencoded character takes the rest of a password for a port or a host, and shows it. So such
a URL is refused at the start. An error never repeats one: it may hold a password.
"""

import re
from typing import Annotated, Final

from pydantic import AfterValidator, SecretStr

from tasks.hosts import is_loopback

HIDDEN: Final = "•••"
# All that stands before the last @ may be a password, however it is made.
USERINFO: Final = re.compile(r"""(?<=://)[^\s"'<>]+(?=@)""")

_ENCODE: Final = "percent-encode / ? # [ ] @ % ; < > quotes and spaces in user name, password and path, e.g. %2F for /"
_UNENCODED: Final = f"holds a character that must be encoded: {_ENCODE}"
# Quotes and angle brackets are where texts say that a URL ends: one that holds some would be hidden in part only.
_ENCODED: Final = re.compile(r"""(?:[^/?#\[\]@%;<>"'\s\x00-\x1f\x7f]|%[0-9A-Fa-f]{2})*""")
_SERVER: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[\w.,-]*)(?::(?P<port>[^/?]*))?(?P<rest>[/?].*)?", re.DOTALL)
_PATH: Final = re.compile(r"(?:[^?#\[\]@%;\s\x00-\x1f\x7f]|%[0-9A-Fa-f]{2})*")
_PASSWORD: Final = re.compile(r"[?&](ssl)?password=")  # as libpq takes it
_PORT: Final = re.compile(r"[0-9]{1,5}")
_LAST_PORT: Final = 65_535
_BROKERS: Final = ("amqp", "amqps")


def masked_url(url: str) -> str:
    """*url* as it may be shown: the place that it names; of what is no URL, or one of the web, nothing."""
    scheme, is_url, rest = url.partition("://")
    before, at, place = rest.rpartition("@")
    if not is_url or not scheme.isascii() or scheme.startswith("http") or "?" in before:
        return HIDDEN
    return f"{scheme}://{HIDDEN + '@' if at else ''}{place.partition('?')[0]}"


def names_nobody(url: str) -> bool:
    """Whether *url* of a broker or ledger names no user and no password: then it is no secret, but a place."""
    return "@" not in url and _PASSWORD.search(url) is None


def without_userinfo(text: str) -> str:
    """*text* with nothing of what stands before the last @ of a URL in it."""
    return USERINFO.sub(HIDDEN, text)


def hosts_of(url: str) -> list[str]:
    """The hosts of the broker or brokers of *url*, without brackets."""
    places = (each.partition("://")[2].rpartition("@")[2] for each in url.split(";"))
    return [match["host"].strip("[]") for match in map(_SERVER.match, places) if match]


def is_in_clear(url: str) -> bool:
    """Whether what goes to the broker of *url* can be read on the way to another machine."""
    return url.startswith("amqp:") and not all(map(is_loopback, hosts_of(url)))


def _broker_url(url: SecretStr) -> SecretStr:
    plain = url.get_secret_value()
    scheme, _, rest = plain.partition("://")
    if scheme == "embedded" and rest.startswith("/"):
        _require_file(rest[1:], "?#%;")
    elif scheme in _BROKERS:
        for each in _brokers(plain):
            _require_broker(each.partition("://")[2])
    else:
        raise ValueError("must start with embedded:///, amqp:// or amqps://")
    return url


def _brokers(urls: str) -> list[str]:
    """Kombu goes from one to the next of several URLs."""
    schemes = [each.partition("://")[0] for each in urls.split(";")]
    if not set(schemes) <= set(_BROKERS):
        raise ValueError(_UNENCODED)
    if len(set(schemes)) > 1:
        raise ValueError("must be amqps:// for every host, or for none")
    return urls.split(";")


def _require_broker(rest: str) -> None:
    """Kombu lets a query decide about TLS as well: `?ssl=1` alone ends the check of the host name."""
    host, path = _server(rest)
    if path.startswith("?") or "?" in path:
        raise ValueError("must have no query: broker_tls tells what TLS needs")
    if not host:
        raise ValueError("must name a host")
    if "," in host:
        raise ValueError("must name one host; a second one is a second URL, after a semicolon")


def _ledger_url(url: SecretStr) -> SecretStr:
    if fault := fault_of_ledger_url(url.get_secret_value()):
        raise ValueError(fault)
    return url


def fault_of_ledger_url(url: str) -> str | None:
    """What is wrong with *url*, if anything is: one sentence that holds nothing of it."""
    scheme, _, rest = url.partition("://")
    try:
        if scheme == "sqlite" and rest.startswith("/"):
            _require_file(rest[1:], "?")
        elif scheme == "postgresql+psycopg":
            _require_database(rest)
        else:
            return "must start with sqlite:/// or postgresql+psycopg://"
    except ValueError as fault:
        return str(fault)
    return None


def _require_database(rest: str) -> None:
    host, path = _server(rest)
    if not host and not re.search(r"[?&](host|service)=.", path):
        raise ValueError("must name a host, as //user@host/database or ?host=/folder/of/the/socket")


def _sentry_dsn(dsn: SecretStr) -> SecretStr:
    scheme, _, rest = dsn.get_secret_value().partition("://")
    try:
        host, path = _server(rest)
    except ValueError:
        host = path = ""
    has_key = bool(rest.partition("@")[0].partition(":")[0]) and "@" in rest
    if scheme not in {"http", "https"} or not (has_key and host) or not re.fullmatch(r"(/[^?]*)?/[0-9]+", path):
        raise ValueError("must be the DSN of a Sentry project, https://key@host/project")
    return dsn


def _server(rest: str) -> tuple[str, str]:
    """Host and path of a URL's *rest* after `://`. Raises ValueError for what a library would read otherwise."""
    userinfo, _, place = rest.rpartition("@")
    match = _SERVER.fullmatch(place)
    if not (_ENCODED.fullmatch(userinfo) and match and _is_encoded(match["rest"] or "")):
        raise ValueError(_UNENCODED)
    port = match["port"]
    if port is not None and not (_PORT.fullmatch(port) and 0 < int(port) <= _LAST_PORT):
        raise ValueError(f"must have a port from 1 to {_LAST_PORT}, or none; {_ENCODE}")
    return match["host"], match["rest"] or ""


def _is_encoded(rest: str) -> bool:
    path, _, query = rest.partition("?")
    return bool(_PATH.fullmatch(path) and re.fullmatch(r"[^#\[\]@\s]*", query))


def _require_file(path: str, special: str) -> None:
    """The library cuts or decodes the path at a *special* character: another file would be opened."""
    if path.strip("/") in {"", ":memory:"}:
        raise ValueError("must name a file")
    if path != path.strip() or re.search(rf"[{re.escape(special)}\x00-\x1f\x7f]", path):
        raise ValueError(f"must name a file without {' '.join(special)} or control characters in its path")


BrokerUrl = Annotated[SecretStr, AfterValidator(_broker_url)]
LedgerUrl = Annotated[SecretStr, AfterValidator(_ledger_url)]
SentryDsn = Annotated[SecretStr, AfterValidator(_sentry_dsn)]
