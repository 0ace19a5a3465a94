"""Signature Version 4: Amazon's own test vectors, and a request as it is on the wire.

The vectors are of github.com/awslabs/aws-c-auth, tests/aws-signing-test-suite/v4.
"""

import re
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime

import aiohttp
import pytest
from calls import CLIENT_SECRET, OPENER, USER_ID
from declared_tables import USER_CALL
from fake_provider import FakeProvider
from yarl import URL

from tasks.outcome import Settled, Transient
from tasks.providers.declared import HttpSettings, sigv4
from tasks.providers.declared.auth import AwsSigV4
from tasks.providers.declared.provider import Declared
from tasks.providers.declared.sigv4 import AwsSigner
from tasks.providers.provider import Request
from worker.operations import catalogue

AT = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
STAMP = "20150830T123600Z"
SHOWN = {"host": "example.amazonaws.com", "x-amz-date": STAMP}
FORM = {
    "content-type": "application/x-www-form-urlencoded",
    "content-length": "13",
    "x-amz-content-sha256": "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e",
}
QUERY = "GET /?Param2=value2&Param1=value1"
TOKEN = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267"


def signer(session_token: str | None = None) -> AwsSigner:
    """Return what signs with the keys of the vectors."""
    keys = {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
    whole = {**keys, "region": "us-east-1", "service": "service", "session_token": session_token}
    return AwsSigner(AwsSigV4.model_validate(whole))


@pytest.mark.parametrize(
    ("line", "shown", "body", "signature"),
    [
        ("GET /", {}, b"", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ("GET /ሴ", {}, b"", "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"),
        (QUERY, {}, b"", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"),
        ("POST /", {"my-header1": "value1"}, b"", "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"),
        ("POST /", FORM, b"Param1=value1", "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b"),
    ],
)  # fmt: skip
def test_a_signature_is_the_one_that_amazon_publishes(
    line: str, shown: Mapping[str, str], body: bytes, signature: str
) -> None:
    """Paths, queries, headers and bodies."""
    method, _, target = line.partition(" ")
    request = Request(method, URL(f"https://example.amazonaws.com{target}", encoded=True), {}, body)
    told = signer().authorization(request, {**SHOWN, **shown}, STAMP)
    assert told.endswith(f", Signature={signature}")


def test_a_query_is_sorted_as_it_is_coded() -> None:
    """`:` stands behind a digit, and its code `%3A` before it: Amazon sorts what is coded."""
    request = Request("GET", URL("https://example.amazonaws.com/?a=0&a=:&a$=1", encoded=True), {})
    assert "\na=%3A&a=0&a%24=1\n" in sigv4._canonical(request, {})


def test_a_request_is_signed_with_its_own_headers() -> None:
    """A vector as a whole: the token of temporary keys is signed as well; what proxies change is not."""
    request = Request("GET", URL("https://example.amazonaws.com/"), {"Accept": "application/json"})
    signed = signer(TOKEN).signed(request, AT)
    assert signed.headers["Authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        "SignedHeaders=host;x-amz-date;x-amz-security-token, "
        "Signature=07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8"
    )
    assert (signed.headers["X-Amz-Date"], signed.headers["X-Amz-Security-Token"]) == (STAMP, TOKEN)


def cognito(url: str) -> HttpSettings:
    """Return Cognito's table of the catalogue, filled in, with a server at *url*."""
    text = re.sub(r"<[a-z ]+>", "example", catalogue.table("cognito", "mine"))
    table = tomllib.loads(text)["providers"]["mine"]
    return HttpSettings.model_validate(
        table | {"base_url": url, "auth": table["auth"] | {"secret_access_key": CLIENT_SECRET}}
    )


async def test_what_arrives_is_what_was_signed(server: FakeProvider, session: aiohttp.ClientSession) -> None:
    """Cognito's request, signed anew from what the server heard; its answers are read by Amazon's own media type."""
    settings = cognito(server.url)
    provider = Declared("cognito", settings, session, OPENER)
    json = {"Content-Type": "application/x-amz-json-1.1"}
    server.will_answer(200, b"{}", json)
    assert isinstance(await provider.execute(USER_CALL), Settled)
    [heard] = server.heard
    assert (heard.method, heard.raw_path) == ("POST", "/")
    assert heard.body == b'{"UserPoolId": "example", "Username": "%s"}' % USER_ID.encode()
    names = re.findall(r"SignedHeaders=([^,]+)", heard.headers["Authorization"])[0].split(";")
    assert names == ["content-type", "host", "x-amz-date", "x-amz-target"]
    shown, stamp = {name: heard.headers[name] for name in names}, heard.headers["X-Amz-Date"]
    assert isinstance(settings.auth, AwsSigV4)
    arrived = Request(heard.method, URL(f"{server.url}{heard.raw_path}"), {}, heard.body)
    assert AwsSigner(settings.auth).authorization(arrived, shown, stamp) == heard.headers["Authorization"]
    server.will_answer(400, b'{"__type": "TooManyRequestsException"}', json)
    outcome = await provider.execute(USER_CALL)
    assert isinstance(outcome, Transient)
    assert outcome.detail["code"] == "TooManyRequestsException"
    assert provider.preview(USER_CALL).headers["Authorization"] == "AWS4-HMAC-SHA256 •••"
