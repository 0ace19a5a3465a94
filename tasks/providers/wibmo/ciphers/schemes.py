"""The schemes: each is a few lines around the `cryptography` and `joserfc` packages, none a primitive of our own."""

import hmac
import os
from codecs import BOM_UTF8
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import ciphers, padding
from cryptography.hazmat.primitives.ciphers import algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from joserfc import jwe
from joserfc.jwk import OctKey, RSAKey

from tasks.providers.wibmo.ciphers.coding import Encoding, decoded, encoded, unwrapped
from tasks.providers.wibmo.ciphers.config import BLOCK, CipherConfig
from tasks.providers.wibmo.ciphers.rsa import rsa_key
from tasks.sealing import is_canonical_compact
from tasks.strict_json import MalformedJsonError, decode

NONCE: Final = 12  # bytes: NIST SP 800-38D section 8.2
MAC: Final = 32  # bytes of an HMAC-SHA-256
_JWE_ENCRYPTION: Final = "A256GCM"


class CipherError(Exception):
    """The one error of every cipher: wrong key, tag, padding, length, coding and JSON look the same outside.

    Whoever could tell them apart could decrypt a body without its key (RFC 7457 section 2.4).
    """

    def __init__(self) -> None:
        super().__init__("the encrypted message cannot be read")


class Cipher(Protocol):
    """Encrypts what is sent to a provider, and decrypts what it answers."""

    def encrypt(self, plaintext: bytes) -> bytes:
        """Return the ASCII body to send; every call uses a fresh IV where the scheme has one."""

    def decrypt(self, data: bytes) -> bytes:
        """Return the plaintext of an answer's body. Raises CipherError for anything else."""


def make_cipher(config: CipherConfig) -> Cipher:
    """Return the cipher that *config* names."""
    match config.scheme:
        case "aes-gcm":
            return _Encoded(_Gcm(AESGCM(config.key_bytes)), config.encoding)
        case "aes-cbc":
            return _Encoded(_make_cbc(config), config.encoding)
        case "aes-ecb":
            # Without any IV: equal blocks look equal. Only for a provider that offers nothing else.
            ecb = _Blocks(algorithms.AES(config.key_bytes), lambda _: modes.ECB(), b"")  # noqa: S305 - an accepted risk, by name
            return _Encoded(ecb, config.encoding)
        case "jwe":
            return _make_jwe(config)
        case "none":
            return _Plain()


def decrypt_json(cipher: Cipher, data: bytes) -> dict[str, Any]:
    """Return the JSON object inside an answer's body, read as strictly as an event. Raises CipherError for all else."""
    try:
        value = decode(cipher.decrypt(data).removeprefix(BOM_UTF8))
    except (CipherError, MalformedJsonError):
        value = None
    if not isinstance(value, dict):
        raise CipherError
    return value


class _Scheme(Protocol):
    """Bytes to bytes; `open` answers None for what it cannot read: a value leaves no exception chain behind."""

    def close(self, plaintext: bytes) -> bytes: ...

    def open(self, data: bytes) -> bytes | None: ...


@dataclass(frozen=True, slots=True, repr=False)
class _Encoded:
    scheme: _Scheme
    encoding: Encoding

    def encrypt(self, plaintext: bytes) -> bytes:
        return encoded(self.scheme.close(plaintext), self.encoding)

    def decrypt(self, data: bytes) -> bytes:
        raw = decoded(unwrapped(data), self.encoding)
        plaintext = None if raw is None else self.scheme.open(raw)
        if plaintext is None:
            raise CipherError
        return plaintext


@dataclass(frozen=True, slots=True, repr=False)
class _Gcm:
    """The nonce in front, the tag behind."""

    aead: AESGCM

    def close(self, plaintext: bytes) -> bytes:
        nonce = os.urandom(NONCE)
        return nonce + self.aead.encrypt(nonce, plaintext, None)

    def open(self, data: bytes) -> bytes | None:
        try:
            return self.aead.decrypt(data[:NONCE], data[NONCE:], None)
        except (InvalidTag, ValueError):
            return None


@dataclass(frozen=True, slots=True, repr=False)
class _Blocks:
    """Whole blocks with PKCS 7 padding (which Java calls PKCS5); the IV in front, unless every message has the same."""

    aes: algorithms.AES
    mode: Callable[[bytes], modes.CBC | modes.ECB]  # of an IV
    iv: bytes | None

    def close(self, plaintext: bytes) -> bytes:
        iv = os.urandom(BLOCK) if self.iv is None else self.iv
        padder, encryptor = padding.PKCS7(BLOCK * 8).padder(), ciphers.Cipher(self.aes, self.mode(iv)).encryptor()
        body = encryptor.update(padder.update(plaintext) + padder.finalize()) + encryptor.finalize()
        return iv + body if self.iv is None else body

    def open(self, data: bytes) -> bytes | None:
        iv, body = (data[:BLOCK], data[BLOCK:]) if self.iv is None else (self.iv, data)
        unpadder = padding.PKCS7(BLOCK * 8).unpadder()
        try:
            decryptor = ciphers.Cipher(self.aes, self.mode(iv)).decryptor()
            return unpadder.update(decryptor.update(body) + decryptor.finalize()) + unpadder.finalize()
        except ValueError:
            return None


@dataclass(frozen=True, slots=True, repr=False)
class _Authenticated:
    """The HMAC-SHA-256 of what another scheme made behind it; decrypted is only what it vouches for (RFC 7366)."""

    scheme: _Scheme
    key: bytes

    def close(self, plaintext: bytes) -> bytes:
        sealed = self.scheme.close(plaintext)
        return sealed + hmac.digest(self.key, sealed, "sha256")

    def open(self, data: bytes) -> bytes | None:
        sealed, tag = data[:-MAC], data[-MAC:]
        return self.scheme.open(sealed) if hmac.compare_digest(hmac.digest(self.key, sealed, "sha256"), tag) else None


def _make_cbc(config: CipherConfig) -> _Scheme:
    cbc = _Blocks(algorithms.AES(config.key_bytes), modes.CBC, config.iv_bytes)
    return _Authenticated(cbc, config.mac_key_bytes) if config.mac_key_bytes else cbc


@dataclass(frozen=True, slots=True, repr=False)
class _Jwe:
    """A compact JWE: the body has its own form, so the encoding setting does not touch it."""

    alg: str
    public: OctKey | RSAKey
    private: OctKey | RSAKey

    def encrypt(self, plaintext: bytes) -> bytes:
        header = {"alg": self.alg, "enc": _JWE_ENCRYPTION}
        return jwe.encrypt_compact(header, plaintext, self.public, registry=self._registry).encode()

    def decrypt(self, data: bytes) -> bytes:
        plaintext = self._open(unwrapped(data))
        if plaintext is None:
            raise CipherError
        return plaintext

    @property
    def _registry(self) -> jwe.JWERegistry:
        return jwe.JWERegistry(algorithms=[self.alg, _JWE_ENCRYPTION])  # zip is not among them: no bomb is inflated

    def _open(self, data: bytes) -> bytes | None:
        try:
            canonical = is_canonical_compact(data.decode())
            return jwe.decrypt_compact(data, self.private, registry=self._registry).plaintext if canonical else None
        except Exception:  # noqa: BLE001 - whatever a hostile envelope provokes in the library is one answer outside
            return None


def _make_jwe(config: CipherConfig) -> _Jwe:
    if not config.is_pem:
        shared = OctKey.import_key(config.key_bytes)
        return _Jwe("dir", shared, shared)
    private = rsa_key(config.key)
    public = rsa_key(config.peer_key or config.key)
    assert private, "checked at load"  # noqa: S101 - CipherConfig refuses anything else
    assert public, "checked at load"  # noqa: S101 - likewise
    return _Jwe("RSA-OAEP-256", public, private)


class _Plain:
    """No encryption at all: the vendor's own development sample. Only for a provider that offers nothing else."""

    def encrypt(self, plaintext: bytes) -> bytes:
        return plaintext

    def decrypt(self, data: bytes) -> bytes:
        return data
