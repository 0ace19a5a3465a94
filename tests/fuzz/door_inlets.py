"""Where directories and identity providers come in: what is drawn for each kind of door, and all that is told of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from door_accounts import KeptAccounts
from door_arrivals import AT, AUDIENCE, ISSUER, KEY, NOW, arrival
from graph_samples import CHANGED, LIFECYCLE, STATE
from hostile import SECRET, TEXT, VALUES, members, spoilt, written
from hypothesis import strategies as st
from inlet import Inlet
from joserfc import jws
from kept_signals import KeptSignals
from keycloak_samples import LOGGED_OUT, PUBLISHED, updated
from okta_samples import DEACTIVATED, DELIVERY

from tasks.doors import KINDS, AccountAdapter, Adapter, SignalAdapter, Verdict, Word
from tasks.doors.accounts import Account
from tasks.events import InvalidEvent

LONGEST = 1_048_576  # bytes of a body, whatever the settings
_JWKS = {"jwks_file": "/keys"}
_ISSUED = {"issuer": ISSUER, "audience": AUDIENCE, **_JWKS}


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as a stranger makes it, whose proofs hold."""

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "POST"
    path: str = ""
    query: str = ""


_ADA = Account("a1", "ada", "e1", is_active=True, version=1, created=NOW, changed=NOW)


def _judged(adapter: Adapter | AccountAdapter | SignalAdapter, asked: Asked) -> Verdict:
    if len(asked.body) > LONGEST:
        return Verdict(adapter.refuse(Word.TOO_LARGE), Word.TOO_LARGE)
    came = arrival(asked.body, method=asked.method, path=asked.path, query=asked.query, headers=asked.headers)
    if isinstance(adapter, SignalAdapter):
        return adapter.judge(came, KeptSignals())
    return adapter.judge(came, KeptAccounts([_ADA])) if isinstance(adapter, AccountAdapter) else adapter.judge(came)


def _told(adapter: Adapter | AccountAdapter | SignalAdapter, asked: Asked) -> object:
    """The log's line, and what is published: a sender may read in its answer what it has sent."""
    verdict = _judged(adapter, asked)
    found = [(each, each.parsed("https://door.example.com", NOW)) for each in verdict.events]
    safe = [(each.event_id, each.body("s")) for each, parsed in found if not isinstance(parsed, InvalidEvent)]
    refused = [(parsed.code, parsed.pointer) for _, parsed in found if isinstance(parsed, InvalidEvent)]
    return verdict.word, verdict.answer.status, safe, refused


def _inlet(kind: str, settings: Mapping[str, Any], drawn: st.SearchStrategy[Asked], like: Asked | None = None) -> Inlet:
    make = KINDS[kind].make
    assert make, "nothing comes in by a kind without push"
    adapter = make(KINDS[kind].settings.model_validate({"kind": kind, **settings}))
    shape = like or Asked(b"")
    return Inlet(
        f"door, {kind}",
        drawn,
        lambda asked: _told(adapter, asked),
        lambda body: Asked(body, shape.headers, shape.method, shape.path),
    )


def _signed(claims: Mapping[str, Any], typ: str) -> str:
    whole = {"iss": ISSUER, "aud": AUDIENCE, "iat": AT - 60, "exp": AT + 240, "jti": "j1", **claims}
    return jws.serialize_compact({"alg": "ES256", "kid": "k1", "typ": typ}, written(whole), KEY, algorithms=["ES256"])


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


_SUBJECTS = members("format", "iss", "sub", "id", "email", "uri", "user", "identifiers", "subject_type") | VALUES
_SUBJECT = {"format": "iss_sub", "iss": ISSUER, "sub": "00u1"}

_COMMAND = _bearer(_signed({"sub": "c1"}, "global-token-revocation+jwt"))
_COMMANDS = st.builds(
    Asked,
    spoilt([written({"sub_id": _SUBJECT})]) | _SUBJECTS.map(lambda it: written({"sub_id": it})),
    st.just(_COMMAND) | (TEXT | spoilt([b"a.b.c"]).map(lambda raw: raw.decode("latin-1"))).map(_bearer),
)

_REVOKED = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
_DISABLED = "https://schemas.openid.net/secevent/risc/event-type/account-disabled"
_PAYLOADS = members("event_timestamp", "subject", "reason", "initiating_entity") | VALUES
_SETS = st.builds(
    lambda subject, uri, payload, more: {"sub_id": subject, "events": {uri: payload}, "exp": None, **more},
    _SUBJECTS,
    st.sampled_from([_REVOKED, _DISABLED, "urn:ietf:params:SCIM:event:prov:delete"]) | TEXT,
    _PAYLOADS,
    members("txn", "toe", "jti", "iat"),
).map(lambda claims: {name: value for name, value in claims.items() if value is not None})

_LOGOUTS = st.builds(
    lambda events, more: {"sub": "00u1", "events": events, **more},
    VALUES | st.just({"http://schemas.openid.net/event/backchannel-logout": {}}),
    members("sub", "sid", "jti", "iat", "nonce"),
)

_OPERATIONS = members("op", "path", "value").map(lambda it: written({"Operations": [it]}))
_PERSONS = members("userName", "externalId", "active", "schemas", "id").map(written)
_SCIM = st.builds(
    Asked,
    spoilt([b'{"Operations":[{"op":"Replace","path":"active","value":"False"}]}', b'{"userName":"bob","active":true}'])
    | _OPERATIONS
    | _PERSONS,
    st.just({}),
    st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE"]),
    st.sampled_from(["", "/Users", "/Users/a1", "/Users/a2", "/Schemas", "/Users/.search", f"/Users/{SECRET}"]),
    st.just("") | TEXT.map(lambda it: "filter=" + quote(f'userName eq "{it}"', errors="replace")),
)

_LOG_EVENTS = members("eventType", "outcome", "target", "actor", "uuid", "published") | VALUES
_HOOKS = st.builds(
    lambda more: written({"data": {"events": [{**_OKTA, **more} if isinstance(more, dict) else more]}}), _LOG_EVENTS
)
_OKTA: dict[str, Any] = {"eventType": "user.lifecycle.suspend", "outcome": {"result": "SUCCESS"}, "uuid": "u1"}
_OKTA |= {"published": "2020-11-16T18:15:12.862Z", "target": [{"type": "User", "id": "00u1"}]}
_OKTA_WHOLE = b'{"data":{"events":[' + DEACTIVATED + b"]}}"

_KEYCLOAK = members("uid", "id", "time", "type", "representation", "resourcePath", "authDetails", "userId").map(
    lambda more: written({**updated(), **more})
)

_NOTIFICATIONS = members("clientState", "lifecycleEvent", "changeType").map(lambda it: written({"value": [it]}))
_QUERIES = TEXT.map(lambda it: "validationToken=" + quote(it, errors="replace"))

_POLLS = members("ack", "setErrs", "maxEvents", "returnImmediately").map(written)

DOORS: list[Inlet] = [
    _inlet(
        "signal-stream",
        _ISSUED,
        st.builds(Asked, _POLLS | spoilt([b'{"ack":["j1"],"setErrs":{"j2":{"err":"x"}}}']), path=st.just("/poll"))
        | st.builds(Asked, _SETS.map(lambda claims: _signed(claims, "secevent+jwt").encode())),
        Asked(b"", path="/poll"),
    ),
    _inlet("global-token-revocation", _ISSUED, _COMMANDS, Asked(b"", _COMMAND)),
    _inlet("scim", {"url": "https://me.example.com/scim"}, _SCIM, Asked(b"", method="PATCH", path="/Users/a1")),
    _inlet(
        "security-event-tokens",
        {**_ISSUED, "draft_subjects": True, "millisecond_times": True},
        st.builds(Asked, _SETS.map(lambda claims: _signed(claims, "secevent+jwt").encode()) | spoilt([b"a.b.c"])),
    ),
    _inlet(
        "back-channel-logout",
        {**_ISSUED, "ends_whole_user": True},
        st.builds(
            Asked,
            _LOGOUTS.map(lambda claims: urlencode({"logout_token": _signed(claims, "logout+jwt")}).encode())
            | spoilt([b"logout_token=a.b.c"]),
        ),
    ),
    _inlet(
        "okta-event-hook",
        {"subject_issuer": ISSUER, "ends_whole_user": True},
        st.builds(Asked, spoilt([_OKTA_WHOLE, DELIVERY]) | _HOOKS),
    ),
    _inlet(
        "keycloak",
        {"hmac_file": "/secret", "realms": ["acme"], "issuer": ISSUER, "ends_whole_user": True},
        st.builds(Asked, spoilt([PUBLISHED.encode(), written(updated()), written(LOGGED_OUT)]) | _KEYCLOAK),
    ),
    _inlet(
        "graph",
        {"tenant": "t", "client_id": "c", "client_secret": "s", "subject_issuer": ISSUER, "client_state": STATE},
        st.builds(Asked, spoilt([CHANGED, LIFECYCLE]) | _NOTIFICATIONS, query=st.just("") | _QUERIES),
    ),
]
