"""Sealing and opening an envelope.

It is opened with the primitives of `cryptography`, as RFC 7518 sections 4.3, 4.6 and 5.3 and RFC 8037 section 3.2
prescribe: a call waits for it, and a library for all of RFC 7516 takes half as long again.
"""

import json
import re
from collections.abc import Mapping
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap
from joserfc import jwe
from joserfc.jwk import ECKey, OKPKey, RSAKey
from pydantic import SecretStr

from tasks.sealing.envelope import ENCRYPTION, MAX_JWE, Envelope, base64url_decoded, json_object
from tasks.sealing.keys import ALGORITHMS, SealError, SealingKey, SealProblem, algorithm_of

MAX_TOKEN: Final = 8 * 1024  # bytes
_TOKEN: Final = re.compile(rf"[!-~]{{1,{MAX_TOKEN}}}")
_MAX_ENCRYPTED_KEY: Final = 768  # bytes: of an RSA key of 6144 bits
_SIZES: Final = (32, 12, 16)  # bytes of key, IV and tag, RFC 7518 section 5.3: other sizes would be other spellings
_OAEP: Final = OAEP(MGF1(SHA256()), SHA256(), None)
_REGISTRY: Final = jwe.JWERegistry(algorithms=[*ALGORITHMS, ENCRYPTION])


def seal(token: str, audience: str, public_key: SealingKey) -> str:
    """*token* as a compact JWE for the provider instance *audience*, which only the holder of the key can open.

    Raises SealError for an unfit key, and for a token that is empty, longer than 8 KiB, or not printable ASCII; also
    for one of so many quotes and backslashes that its envelope would be refused on arrival.
    """
    if not _TOKEN.fullmatch(token):
        raise SealError("a token to be sealed is 1 to 8192 printable ASCII characters without white space")
    header = {"alg": algorithm_of(public_key), "enc": ENCRYPTION, "kid": public_key.kid, "typ": "JWT"}
    payload = json.dumps({"aud": audience, "token": token}, separators=(",", ":"))
    compact = jwe.encrypt_compact(header, payload, public_key, registry=_REGISTRY)
    if len(compact) > MAX_JWE:
        raise SealError("the sealed credential would be longer than 16 KiB")
    return compact


def unseal(envelope: Envelope, key: SealingKey, audience: str) -> tuple[SecretStr, SealError | None]:
    """Return the token in *envelope* and an objection to it, None where the token may be used.

    The objection is returned and not raised, because a traceback would hold the plaintext.
    """
    try:
        plaintext = _decrypted(envelope, key)
    except Exception:  # noqa: BLE001 - whatever a hostile envelope provokes in the library is one answer outside
        return SecretStr(""), SealError("the sealed credential cannot be decrypted", SealProblem.TAMPERED)
    match json_object(plaintext):
        case {"aud": str(aud), "token": str(token), **others} if not others and _TOKEN.fullmatch(token):
            foreign = SealError("the sealed credential is for another provider", SealProblem.OTHER_PROVIDER)
            return SecretStr(token), None if aud == audience else foreign
        case _:
            sentence = "the sealed credential does not hold exactly an aud and a token"
            return SecretStr(""), SealError(sentence, SealProblem.CONTENT)


def shared_secret(key: OKPKey | ECKey, epk: Mapping[str, str]) -> bytes:
    """Return what the private *key* agrees on with the ephemeral public key *epk*.

    Raises ValueError for a key of another curve, for a point that is not on the curve, and for a point of small order
    on X25519: with that every key agrees on zeros (RFC 7748 section 6.1), so the secret would be nobody's.
    """
    match key.private_key:
        case X25519PrivateKey() as private:
            return private.exchange(X25519PublicKey.from_public_bytes(_coordinate(epk["x"])))
        case ec.EllipticCurvePrivateKey() as private:
            point = b"\x04" + _coordinate(epk["x"]) + _coordinate(epk["y"])  # SEC 1 section 2.3.4: uncompressed
            return private.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(private.curve, point))
        case _:
            raise ValueError("not a private key that agrees on secrets")


def _coordinate(text: str) -> bytes:
    if (raw := base64url_decoded(text)) is None:
        raise ValueError("not base64url")
    return raw


def other_info(algorithm: bytes, bits: int, apu: bytes = b"", apv: bytes = b"") -> bytes:
    """Return what a key of *bits* for *algorithm* is derived from besides the secret: RFC 7518 section 4.6.2."""
    return b"".join(len(each).to_bytes(4) + each for each in (algorithm, apu, apv)) + bits.to_bytes(4)


def derived_key(secret: bytes, info: bytes, bits: int) -> bytes:
    """Return a key of *bits* by the Concat KDF (NIST SP 800-56A section 5.8.1) with SHA-256."""
    return ConcatKDFHash(SHA256(), bits // 8, info).derive(secret)


_WRAPPING_KEY: Final = (other_info(b"ECDH-ES+A256KW", 256), 256)


def _decrypted(envelope: Envelope, key: SealingKey) -> bytes:
    """Return the plaintext. Raises an error of `cryptography` or ValueError where the envelope is not sealed so."""
    if len(envelope.encrypted_key) > _MAX_ENCRYPTED_KEY:
        raise ValueError("an encrypted key that is too long")
    content_key = _content_key(envelope, key)
    if (len(content_key), len(envelope.iv), len(envelope.tag)) != _SIZES:
        raise ValueError("a key, an IV or a tag of another size")
    return AESGCM(content_key).decrypt(envelope.iv, envelope.ciphertext + envelope.tag, envelope.aad)


def _content_key(envelope: Envelope, key: SealingKey) -> bytes:
    if isinstance(key, RSAKey):
        return key.get_op_key("decrypt").decrypt(envelope.encrypted_key, _OAEP)
    secret = shared_secret(key, envelope.header["epk"])
    return aes_key_unwrap(derived_key(secret, *_WRAPPING_KEY), envelope.encrypted_key)
