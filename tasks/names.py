"""Names of people: one spelling for all spellings of a name, and a masked form that people may see."""

import re
import unicodedata
from typing import Final

_MOST_SHOWN: Final = 4  # characters of a name, however long
_NO_SIGN: Final = frozenset({"Cc", "Cf", "Cs"})  # control, format and surrogate characters: none of them is seen
# Characters of other categories that are not seen either (Default_Ignorable_Code_Point, Unicode Standard 5.21).
_UNSEEN: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2060-\u206f\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff]"
)
_URI: Final = re.compile(r"(acct|mailto|tel):", re.IGNORECASE | re.ASCII)
_BETWEEN_DIGITS: Final = re.compile(r"[\s()./-]")
_TELEPHONE: Final = re.compile(r"\+[0-9]{5,15}", re.ASCII)
_LABEL: Final = re.compile(r"(?!-)[^\W_]([\w-]{0,61}[^\W_])?(?<!-)")  # of a host's name, once it is normalised
_LONGEST_HOST: Final = 253  # characters (RFC 1035, section 2.3.4, without the root's dot)


def normalised(name: str) -> str:
    """Return *name* in the one spelling that all of its spellings share: for look-ups and to compare addresses.

    Without white space around it and characters that nobody sees, composed (NFC) and case-folded; the domain of an
    address as Unicode, whether it came so or as an A-label (RFC 5890, section 2.3.2.1).
    """
    seen = _seen(name)
    local, at, domain = seen.rpartition("@")
    if not at or not local or "@" in local:
        return _folded(seen)
    host = _host(domain)
    return f"{_folded(local)}@{host}" if _is_host(host) else _folded(seen)


def forms(name: str) -> tuple[str, ...]:
    """Return *name* and what else an event may have called the same person.

    That is an address as the URI of an account or of a mailbox, a telephone number without what divides its digits,
    each with the scheme of its URI and without.
    """
    bare = _URI.sub("", name.strip(), count=1) if _URI.match(name.strip()) else name
    number = _BETWEEN_DIGITS.sub("", bare)
    found = [name, bare]
    if "@" in bare:
        found += [f"acct:{bare}", f"mailto:{bare}"]
    if _TELEPHONE.fullmatch(number):
        found += [number, f"tel:{number}"]
    return tuple(dict.fromkeys(found))


def address(name: str) -> str:
    """*name*, of a mailbox, in a spelling that no other mailbox has: `straße` is another domain than `strasse`.

    Only capitals, composition, and how the labels of its domain are coded make no difference (RFC 5891).
    """
    local, at, domain = composed(name.strip()).rpartition("@")
    return composed(f"{local.lower()}{at}{_domain(domain)}")


def composed(name: str) -> str:
    """Return *name* composed (NFC) and otherwise as it is: in an id, case may count."""
    return unicodedata.normalize("NFC", name)


def mask(name: str) -> str:
    """Return *name* as people may see it: at most a third of it, and at most four characters, e.g. `al…ce`.

    Of an address at most two characters and a third of what stands before the `@`, and its domain, e.g.
    `a…@example.com`; no other domain is shown.
    """
    seen = composed(_seen(name))
    local, at, domain = seen.rpartition("@")
    if at and local and "@" not in local and _is_host(_host(domain)):
        return f"{local[: min(len(local) // 3, 2)]}…@{domain}"
    shown = min(len(seen) // 3, _MOST_SHOWN)
    tail = shown // 2
    return f"{seen[: shown - tail]}…{seen[len(seen) - tail :]}"


def _seen(name: str) -> str:
    if name.isascii() and name.isprintable():
        return name.strip()
    plain = "".join(each for each in name if unicodedata.category(each) not in _NO_SIGN)
    return _UNSEEN.sub("", plain).strip()


def _folded(name: str) -> str:
    """Case-folded and composed: folding may take a composed character apart."""
    return composed(composed(name).casefold())


def _host(domain: str) -> str:
    return composed(_domain(domain).casefold())


def _domain(domain: str) -> str:
    """A host's name as Unicode, mapped as before a look-up (UTS 46: NFKC, case, dots), without the root's dot."""
    if domain.isascii() and "xn--" not in (plain := domain.lower()):
        return plain.removesuffix(".")
    mapped = unicodedata.normalize("NFKC", domain).lower().replace("\u3002", ".")
    return composed(".".join(map(_u_label, mapped.removesuffix(".").split("."))))


def _u_label(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    try:
        return unicodedata.normalize("NFKC", _seen(label[4:].encode().decode("punycode"))).lower()
    except UnicodeError:
        return label


def _is_host(host: str) -> bool:
    """Whether it is the name of a host with a domain above it, and no number."""
    labels = host.split(".")
    is_named = len(labels) > 1 and not labels[-1].isdigit() and len(host) <= _LONGEST_HOST
    return is_named and all(_LABEL.fullmatch(label) for label in labels)
