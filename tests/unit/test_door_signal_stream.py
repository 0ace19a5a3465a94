"""A stream of our own signals: what is kept, what a receiver is given, and when it is forgotten."""

import json
from typing import Any, Final

import pytest
from door_arrivals import AUDIENCE, ISSUER, arrival, token
from joserfc.jwk import ECKey
from kept_signals import KeptSignals

from tasks.doors import Verdict, Word
from tasks.doors.signal_stream import MAX_AT_ONCE, Settings, SignalStream

TYPE: Final = "secevent+jwt"
SETTINGS: Final = {"kind": "signal-stream", "issuer": ISSUER, "audience": AUDIENCE, "jwks_file": "/keys", "limit": 3}


class Stream:
    """A stream, and what it keeps."""

    def __init__(self) -> None:
        self.signals, self.door = KeptSignals(), SignalStream(Settings.model_validate(SETTINGS))

    def fills(self, signal: str) -> Verdict:
        """The worker pushes *signal*."""
        return self.door.judge(arrival(signal.encode()), self.signals)

    def polls(self, body: Any) -> Any:
        """A receiver polls; what it is given."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        verdict = self.door.judge(arrival(raw, path="/poll"), self.signals)
        return json.loads(verdict.answer.body) if verdict.answer.status == 200 else verdict.answer.status


def signal(jti: str, **claims: Any) -> str:
    """A signal of ours."""
    return token({"exp": None, "jti": jti, "events": {"urn:x": {}}, **claims}, typ=TYPE)


def test_a_signal_is_kept_until_its_receiver_has_taken_it() -> None:
    """RFC 8936: acknowledged it goes, refused it goes; a poll that was lost is answered alike."""
    stream = Stream()
    sent = {jti: signal(jti) for jti in ("a", "b", "c")}
    assert [stream.fills(each).answer.status for each in (*sent.values(), sent["a"])] == [202, 202, 202, 503]
    assert stream.polls({"maxEvents": 2}) == {"sets": {"a": sent["a"], "b": sent["b"]}, "moreAvailable": True}
    assert stream.polls({}) == {"sets": sent, "moreAvailable": False}
    error = {"err": "invalid_audience", "description": "free text"}
    asked = {"ack": ["a", "unknown"], "setErrs": {"b": error, "c": "?"}, "returnImmediately": True}
    assert stream.polls(asked) == {"sets": {}, "moreAvailable": False}
    assert stream.signals.codes == {"b": "invalid_audience", "c": "unknown"}
    assert stream.fills(sent["a"]).word is Word.ACCEPTED


def test_only_our_own_signals_are_kept() -> None:
    """Of our issuer, for this receiver, by our key, with a name: else whoever reaches the door could say anything."""
    stream, forger = Stream(), ECKey.generate_key("P-256", {"kid": "k1"})
    forged = token({"exp": None, "jti": "j"}, typ=TYPE, key=forger)
    for bad in (forged, signal("j", iss="https://evil.example.com"), signal("j", aud="x"), signal(""), "x"):
        verdict = stream.fills(bad)
        assert (verdict.answer.status, verdict.word) == (400, Word.UNPROVED)
    assert stream.signals.kept == {}


@pytest.mark.parametrize(
    "body", [b"x", [], {"ack": "a"}, {"ack": [1]}, {"setErrs": []}, {"maxEvents": -1}, {"maxEvents": True}]
)
def test_a_poll_that_cannot_be_read_changes_nothing(body: Any) -> None:
    """It is answered with 400."""
    stream = Stream()
    stream.fills(signal("a"))
    assert stream.polls(body) == 400
    assert stream.signals.count() == 1
    assert stream.polls({"maxEvents": 0}) == {"sets": {}, "moreAvailable": True}
    assert stream.polls({"maxEvents": 10 * MAX_AT_ONCE})["sets"].keys() == {"a"}
    assert stream.door.judge(arrival(method="GET", path="/poll"), stream.signals).answer.status in {404, 405}
