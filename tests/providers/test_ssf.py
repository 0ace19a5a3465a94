"""Receivers of shared signals: what they are told, by whom it is believed, and what their answers mean."""

import base64
import json
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Final

import aiohttp
import pytest
from aiohttp import web
from calls import OPENER, call
from click.testing import CliRunner
from contract import ProviderContract
from door_arrivals import Headers
from fake_provider import FakeProvider
from joserfc.jwk import ECKey, JWKRegistry, KeySet, OKPKey, RSAKey
from pydantic import ValidationError
from trial import TIMEOUT

from tasks.call import Lane, ProviderCall
from tasks.doors import Arrival, Verdict, Word
from tasks.doors.security_event_tokens import SecurityEventTokens
from tasks.doors.security_event_tokens import Settings as Receiver
from tasks.events import Event, parse_event
from tasks.outcome import CredentialFault, Outcome, Permanent, Settled, State, Transient
from tasks.plan import Catalogue, Instance, plan_revocations
from tasks.providers import KINDS
from tasks.providers.ssf import SIGNAL_USER, SsfSettings
from tasks.providers.ssf.provider import Ssf
from tasks.subject_index import SubjectIndex
from worker.cli import main
from worker.intake.signing import generate_signing_key

ISSUER: Final = "https://revoker.example.com"
AUDIENCE: Final = "https://receiver.example.com"
DIRECTORY: Final = "https://idp.example.com"
EC: Final = ECKey.generate_key("P-256", {"kid": "k1"})
PEM: Final = EC.as_pem(private=True).decode()
WORKER_TOKEN: Final = "what-the-receiver-gave-us"
SIGNAL: Final = call(SIGNAL_USER, "okta", user_id="00u1")
NODE: Final = Path(__file__).parents[1] / "node"


def ssf(url: str, session: aiohttp.ClientSession, timeout: float = TIMEOUT, **more: Any) -> Ssf:
    """Return the provider, configured for a receiver at *url*."""
    settings = {"kind": "ssf", "issuer": ISSUER, "audience": AUDIENCE, "subject_issuer": DIRECTORY, **more}
    document = {"signing_key": PEM, "receiver_url": f"{url}/events", "timeout": timeout, **settings}
    return Ssf("okta", SsfSettings.model_validate(document), session, OPENER)


class TestSsf(ProviderContract):
    """The token of ours that it may ask for."""

    call = SIGNAL
    foreign = "genesys.delete_token"
    statuses: ClassVar = {401: CredentialFault, 403: CredentialFault}
    successes: ClassVar = frozenset({202})

    def make(self, url: str, session: aiohttp.ClientSession, timeout: float = TIMEOUT) -> Ssf:
        """Return the provider under test."""
        return ssf(url, session, timeout, access_token=WORKER_TOKEN)


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("invalid_key", Transient),
        ("authentication_failed", CredentialFault),
        ("access_denied", CredentialFault),
        ("invalid_issuer", Permanent),
        ("invalid_audience", Permanent),
        ("invalid_request", Permanent),
    ],
)
async def test_each_error_of_a_receiver_has_its_meaning(
    server: FakeProvider, session: aiohttp.ClientSession, code: str, outcome: type[Outcome]
) -> None:
    """RFC 8935, 2.4: a key that was not read yet heals by waiting; where we are not believed, every signal waits."""
    server.will_answer(400, {"err": code, "description": "free text"})
    found = await ssf(server.url, session).execute(SIGNAL)
    assert isinstance(found, outcome)
    assert isinstance(found, Transient | CredentialFault | Permanent)
    assert found.detail == {"status": "400", "err": code}


KEYS: Final[Mapping[str, str]] = {
    "RS256": RSAKey.generate_key(2048).as_pem(private=True).decode(),
    "ES256": PEM,
    "Ed25519": json.dumps(generate_signing_key("made-by-us").as_dict(private=True)),
}


def verified_by_node(asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Header and claims of each token; none where one does not hold."""
    command = (str(Path(sys.executable).with_name("node")), "verify_set.mjs")
    done = subprocess.run(command, cwd=NODE, input=json.dumps(asked), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


async def test_a_library_of_another_author_believes_us(server: FakeProvider, session: aiohttp.ClientSession) -> None:
    """Node's jose, with the key that we show: every algorithm, every layout; the claims are those of SSF and CAEP."""
    server.will_answer(202)
    public = []
    for key in KEYS.values():
        for layout in ("final", "draft", "both"):
            provider = ssf(server.url, session, signing_key=key, layout=layout, access_token=WORKER_TOKEN)
            found = await provider.execute(SIGNAL)
            assert isinstance(found, Settled)
            assert found.detail["partial"] == "what the receiver does not end"
        public.append(provider.public_key)
    tokens = [heard.body.decode() for heard in server.heard]
    asked = {"tokens": tokens, "jwks": {"keys": public}, "issuer": ISSUER, "audience": AUDIENCE}
    verified = verified_by_node(asked)
    assert [each["header"]["alg"] for each in verified[::3]] == [*KEYS]
    assert {each["header"]["typ"] for each in verified} == {"secevent+jwt"}
    subject = {"format": "iss_sub", "iss": DIRECTORY, "sub": "00u1"}
    for number, each in enumerate(verified):
        claims, [(uri, event)] = each["claims"], each["claims"]["events"].items()
        assert uri == "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
        assert not {"exp", "sub"} & claims.keys()
        assert claims["jti"] == SIGNAL.call_id
        assert event["event_timestamp"] == int(SIGNAL.occurred_at.timestamp())
        assert event["reason_admin"]
        assert claims.get("sub_id") == (None if number % 3 == 1 else subject)
        assert event.get("subject") == (None if number % 3 == 0 else subject)
    assert {heard.headers["Authorization"] for heard in server.heard} == {f"Bearer {WORKER_TOKEN}"}
    assert {heard.headers["Content-Type"] for heard in server.heard} == {"application/secevent+jwt"}


@pytest.mark.parametrize("event", ["session-revoked", "account-disabled"])
@pytest.mark.parametrize("layout", ["final", "draft", "both"])
async def test_our_own_receiver_makes_the_same_event_of_it(
    server: FakeProvider, session: aiohttp.ClientSession, event: str, layout: str
) -> None:
    """What is told is what was meant; a repetition is known by its `jti`, a replay is a signal of its own."""
    settings = {"kind": "security-event-tokens", "issuer": ISSUER, "audience": AUDIENCE, "jwks_file": "/keys"}
    receiver = SecurityEventTokens(Receiver.model_validate({**settings, "draft_subjects": layout == "draft"}))
    provider = ssf(server.url, session, event=event, layout=layout)
    keys = KeySet([JWKRegistry.import_key(dict(provider.public_key))])
    found: list[Verdict] = []

    async def receive(request: web.Request) -> web.Response:
        body = await request.read()
        found.append(receiver.judge(Arrival("POST", "", "", Headers(), body, datetime.now(UTC), keys)))
        return web.Response(status=found[-1].answer.status, body=found[-1].answer.body)

    server.answering = receive
    for each in (SIGNAL, SIGNAL, SIGNAL.model_copy(update={"replays": 1})):
        outcome = await provider.execute(each)
        assert isinstance(outcome, Settled)
        assert outcome.state is State.ACCEPTED
    assert {each.word for each in found} == {Word.ACCEPTED}
    first, again, replayed = (each.events[0] for each in found)
    assert first == again
    assert (first.type, first.at) == ("user.disabled", SIGNAL.occurred_at.replace(microsecond=0))
    assert first.data["sub_id"] == {"format": "iss_sub", "iss": DIRECTORY, "sub": "00u1"}
    assert first.correlationid == SIGNAL.event_id
    assert replayed.event_id != first.event_id


def planned(sub_id: Mapping[str, Any], **settings: Any) -> tuple[ProviderCall, ...]:
    """The calls at a receiver that an event about *sub_id* becomes."""
    document = {"kind": "ssf", "receiver_url": "https://x.test", "issuer": ISSUER, "audience": "a", "signing_key": PEM}
    its = SsfSettings.model_validate({**document, "subject_issuer": DIRECTORY, **settings})
    instance = Instance("okta", KINDS["ssf"].of(its), its.subject_issuer)
    catalogue = Catalogue({"okta": instance}, dict.fromkeys(Lane, timedelta(hours=1)), SubjectIndex(b"k" * 32))
    body = {
        "specversion": "1.0",
        "id": "e1",
        "source": "urn:x",
        "type": "user.disabled",
        "time": datetime.now(UTC).isoformat(),
        "data": {"sub_id": sub_id},
    }
    event = parse_event(json.dumps(body).encode(), now=datetime.now(UTC))
    assert isinstance(event, Event)
    return plan_revocations(event, catalogue).calls


def test_a_receiver_is_told_of_whom_it_knows_and_of_nobody_else() -> None:
    """By the `sub` of its issuer, or by the address; two addresses name nobody, and neither does another's `sub`."""
    address = {"format": "email", "email": "ada@example.com"}
    subject = {"format": "iss_sub", "iss": DIRECTORY, "sub": "00u1"}
    both = {"format": "aliases", "identifiers": [subject, address]}
    assert [each.user_id for each in planned(both)] == ["00u1"]
    assert [each.user_id for each in planned(both, subject="email")] == ["ada@example.com"]
    assert planned(address) == planned(subject, subject="email") == ()
    other = {"format": "email", "email": "eve@example.com"}
    assert planned({"format": "aliases", "identifiers": [address, other]}, subject="email") == ()


async def test_a_preview_shows_what_is_said_and_cannot_be_sent(session: aiohttp.ClientSession) -> None:
    """A signature is a proof: it stays in the worker."""
    request = ssf("https://receiver.test", session, access_token=WORKER_TOKEN).preview(SIGNAL)
    assert request.body is not None
    assert request.body.decode().endswith(".•••")
    assert WORKER_TOKEN not in request.headers["Authorization"]
    payload = base64.urlsafe_b64decode(request.body.decode().split(".")[1] + "==")
    assert json.loads(payload)["aud"] == AUDIENCE


@pytest.mark.filterwarnings("ignore:Key size")
async def test_a_key_that_cannot_sign_is_refused_by_name(session: aiohttp.ClientSession) -> None:
    """Too short, a public half, no key: a sentence that shows none of it."""
    short = RSAKey.generate_key(1024).as_pem(private=True).decode()
    public = json.dumps(OKPKey.generate_key("Ed25519").as_dict(private=False))
    for key in ("x", short, public, json.dumps({"kty": "oct", "k": "AAAA"})):
        with pytest.raises(ValidationError, match=r"signing_key\n *Value error, must be") as refusal:
            ssf("https://receiver.test", session, signing_key=key)
        assert len(key) < 9 or key not in str(refusal.value)


def test_what_receivers_must_read_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A JWK Set of public halves, each key once; nothing private."""
    one = {"kind": "ssf", "receiver_url": "https://a.test", "issuer": ISSUER, "audience": "a", "signing_key": PEM}
    receivers = {name: {**one, "subject": "email"} for name in ("okta", "google")}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REVOKER_SUBJECT_KEY", "subject-key-of-a-test-installation")
    monkeypatch.setenv("REVOKER_PROVIDERS", json.dumps(receivers))
    done = CliRunner().invoke(main, ["provider", "jwks"])
    [key] = json.loads(done.stdout)["keys"]
    assert (key["kty"], key["alg"], key["use"], "d" in key) == ("EC", "ES256", "sig", False)
    assert CliRunner().invoke(main, ["provider", "jwks", "other"]).exit_code == 2
