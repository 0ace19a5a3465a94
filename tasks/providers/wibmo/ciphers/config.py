"""How a provider's bodies are encrypted: the settings, checked at load."""

from collections.abc import Iterator
from typing import Final, Literal, Self

from pydantic import Field, SecretStr, model_validator

from tasks.providers.wibmo.ciphers.coding import Encoding, decoded
from tasks.strict_model import ASKED, StrictModel

BLOCK: Final = 16  # bytes of an AES block, and of a CBC IV
AES_KEYS: Final = frozenset({16, 24, 32})  # bytes
JWE_KEY: Final = 32  # bytes: dir with A256GCM
MAC_KEY: Final = 32  # bytes at least: as long as what HMAC-SHA-256 gives (RFC 2104 section 3)


class CipherConfig(StrictModel):
    """How bodies are encrypted. Errors name the field and never a value.

    A compact JWE and a plain body have a form of their own: *encoding* is for the AES schemes. `aes-ecb` shows equal
    blocks and `none` shows everything.
    """

    scheme: Literal["aes-gcm", "aes-cbc", "jwe", "aes-ecb", "none"] = Field(
        description="`aes-gcm`, `aes-cbc`, `jwe`, `aes-ecb` or `none`, as agreed with the vendor"
    )
    key: SecretStr = Field(
        SecretStr(""),
        description="AES key of 128, 192 or 256 bits; for `jwe` one of 256 bits, or an RSA private key in PEM form",
        json_schema_extra=ASKED,
    )
    key_encoding: Literal["base64", "hex", "raw"] = Field(
        "base64",
        description="How `key`, `fixed_iv` and `mac_key` are written: `base64`, `hex` or `raw`",
        json_schema_extra=ASKED,
    )
    peer_key: SecretStr | None = Field(
        None, description="For `jwe` with RSA: the provider's public key, in PEM form; unset: the public half of `key`"
    )
    iv: Literal["prefix", "fixed", "zero"] = Field(
        "prefix", description="For `aes-cbc`: in front of each message (`prefix`), `fixed`, or `zero`"
    )
    fixed_iv: SecretStr | None = Field(None, description='16 bytes, with `iv = "fixed"`')
    mac_key: SecretStr | None = Field(
        None,
        description="For `aes-cbc`: another key, of 32 bytes or more; an HMAC-SHA-256 then stands behind each message "
        "and is checked before it is decrypted. Without it only TLS keeps an answer from being changed on the way",
    )
    encoding: Encoding = Field(
        "base64",
        description="How AES bodies are written. Of an answer line breaks, JSON quotes, a byte order mark and "
        '`{"data": …}` around it are taken off',
    )
    accept_risk: Literal["aes-ecb", "none"] | None = Field(
        None, description="Must name `aes-ecb` or `none` where one of them is in use: they do not protect the body"
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for objection in _objections(self):
            raise ValueError(objection)
        return self

    @property
    def key_bytes(self) -> bytes:
        """The key itself; empty where it cannot be decoded."""
        return self._bytes_of(self.key)

    @property
    def iv_bytes(self) -> bytes | None:
        """The IV of every message, or None where each message has its own in front."""
        match self.iv:
            case "fixed" if self.fixed_iv:
                return self._bytes_of(self.fixed_iv)
            case "zero":
                return bytes(BLOCK)
            case _:
                return None

    @property
    def mac_key_bytes(self) -> bytes | None:
        """The key of the HMAC, or None where there is none; empty where it cannot be decoded."""
        return self._bytes_of(self.mac_key) if self.mac_key else None

    @property
    def is_pem(self) -> bool:
        """Whether the key is an RSA key in PEM form."""
        return self.key.get_secret_value().lstrip().startswith("-----BEGIN")

    def _bytes_of(self, secret: SecretStr) -> bytes:
        text = secret.get_secret_value().encode()
        return text if self.key_encoding == "raw" else decoded(text.strip(), self.key_encoding) or b""


def _objections(config: CipherConfig) -> Iterator[str]:
    """Every reason why the settings do not fit together."""
    if config.scheme in {"aes-ecb", "none"} and config.accept_risk != config.scheme:
        yield f"scheme {config.scheme} does not protect the body: accept_risk must name it"
    if config.accept_risk not in {None, config.scheme}:
        yield "accept_risk names another scheme than the one in use"
    if config.iv != "prefix" and config.scheme != "aes-cbc":
        yield "iv is a setting of aes-cbc alone"
    if (config.iv == "fixed") != (config.fixed_iv is not None):
        yield "fixed_iv goes with iv = fixed, and only with it"
    if config.iv == "fixed" and len(config.iv_bytes or b"") != BLOCK:
        yield "fixed_iv must be 16 bytes, coded as key_encoding says"
    if config.mac_key is not None and config.scheme != "aes-cbc":
        yield "mac_key is a setting of aes-cbc alone"
    mac_key = config.mac_key_bytes
    if mac_key is not None and (len(mac_key) < MAC_KEY or mac_key == config.key_bytes):
        yield "mac_key must be 32 bytes or more, coded as key_encoding says, and another key than key"
    yield from _rsa_objections(config) if config.scheme == "jwe" and config.is_pem else _key_objections(config)


def _key_objections(config: CipherConfig) -> Iterator[str]:
    if config.peer_key is not None:
        yield "peer_key goes with scheme jwe and a PEM key, and only with them"
    if config.scheme == "jwe" and len(config.key_bytes) != JWE_KEY:
        yield "key must be 256 bits, coded as key_encoding says, or a PEM"
    if config.scheme not in {"jwe", "none"} and len(config.key_bytes) not in AES_KEYS:
        yield "key must be 128, 192 or 256 bits, coded as key_encoding says"


def _rsa_objections(config: CipherConfig) -> Iterator[str]:
    from tasks.providers.wibmo.ciphers.rsa import rsa_key  # noqa: PLC0415 - 50 ms that no other cipher needs at a start

    key = rsa_key(config.key)
    if key is None or not key.is_private:
        yield "key must be an RSA private key of at least 2048 bits in PEM form"
    if config.peer_key is not None and rsa_key(config.peer_key) is None:
        yield "peer_key must be an RSA public key of at least 2048 bits in PEM form"
