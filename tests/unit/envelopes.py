"""Envelopes as a second implementation makes them, and the keys that open them."""

from __future__ import annotations

import json
from typing import Any

from jwcrypto.jwe import JWE
from jwcrypto.jwk import JWK

from tasks.sealing import ALGORITHMS, KeyRing, generate_key

TOKEN = "planted-marker-token-3f9a"
AUDIENCE = "genesys-eu"
ENC = "A256GCM"
EC, RSA = ALGORITHMS
KEYS = {
    "X25519": generate_key("key-x25519"),
    "P-256": generate_key("key-p256", EC, "P-256"),
    "RSA": generate_key("key-rsa", RSA),
}
CURVES = ("X25519", "P-256")
RING = KeyRing(KEYS.values())
PAYLOAD = {"aud": AUDIENCE, "token": TOKEN}
EVERY_ALGORITHM = ["RSA1_5", "RSA-OAEP", "RSA-OAEP-256", "ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW"]
EVERY_ALGORITHM += ["dir", "A128KW", "A256KW", "PBES2-HS256+A128KW"]
EVERY_ENCRYPTION = ["A128GCM", "A192GCM", "A256GCM", "A128CBC-HS256", "A256CBC-HS512"]


def peer_key(algorithm: str, kind: str) -> JWK:
    """Give jwcrypto the public half of ours where the algorithm has one, and a secret of its own elsewhere."""
    if algorithm.startswith(("RSA", "ECDH")):
        parameters = KEYS[kind].as_dict(private=False)
        return JWK(**{name: value for name, value in parameters.items() if name not in {"use", "alg"}})
    size = {"A128KW": 128}.get(algorithm, 256)
    return JWK.generate(kty="oct", size=size)


def peer_seal(header: dict[str, Any], payload: object = PAYLOAD, curve: str = "P-256") -> str:
    """Seal with jwcrypto, which lets us write any header; our kid unless the header says otherwise."""
    algorithm = header.get("alg", EC)
    kind = "RSA" if algorithm.startswith("RSA") else curve
    protected = {"alg": EC, "enc": ENC, "kid": KEYS[kind].kid} | header
    names = {name: value for name, value in protected.items() if value is not None}
    text = payload if isinstance(payload, str) else json.dumps(payload)
    sealed = JWE(text, json.dumps(names), algs=[*EVERY_ALGORITHM, *EVERY_ENCRYPTION, "DEF"])
    sealed.add_recipient(peer_key(algorithm, kind))
    return str(sealed.serialize(compact=True))
