"""Certificates made for one test: some nobody vouches for, and those of an authority of the test's own."""

import ipaddress
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = timedelta(days=1)
_SIGNS = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


def self_signed(folder: Path) -> Path:
    """Return the file of a private key and of its certificate for 127.0.0.1, which is its own issuer."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("127.0.0.1")
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    builder = _dated(x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number()))
    certificate = builder.add_extension(here, critical=False).sign(key, hashes.SHA256())
    return _saved(folder / "server.pem", key, certificate)


class Authority:
    """A certificate authority in the new folder *home*; whoever trusts `file`, or runs with `env`, trusts it."""

    def __init__(self, home: Path) -> None:
        home.mkdir()
        self._home = home
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("Authority of a test")
        self._about = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        builder = x509.CertificateBuilder(
            self._name, self._name, self._key.public_key(), x509.random_serial_number()
        ).add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        builder = builder.add_extension(_SIGNS, critical=True).add_extension(self._about, critical=False)
        certificate = _dated(builder).sign(self._key, hashes.SHA256())
        self.file = home / "authority.pem"
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    @property
    def env(self) -> Mapping[str, str]:
        """The environment of a process that trusts it (OpenSSL, SSL_CTX_set_default_verify_paths)."""
        return {"SSL_CERT_FILE": str(self.file)}

    def issue(self, host: str, *, expired: bool = False) -> Path:
        """Return the file of a private key and of its certificate for *host*, a name or an address."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = x509.CertificateBuilder(self._name, _name(host), key.public_key(), x509.random_serial_number())
        for extension in (
            x509.SubjectAlternativeName([_alternative(host)]),
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(self._about),
        ):
            builder = builder.add_extension(extension, critical=False)
        certificate = _dated(builder, ago=2 * DAY if expired else DAY / 2).sign(self._key, hashes.SHA256())
        return _saved(self._home / f"{host}{'-expired' * expired}.pem", key, certificate)


def server_side(pem: Path, clients: Path | None = None) -> ssl.SSLContext:
    """Return the TLS context of a server that shows the certificate in *pem*, and asks for one of *clients*."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    if clients:
        context.load_verify_locations(clients)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _dated(builder: x509.CertificateBuilder, ago: timedelta = DAY / 2) -> x509.CertificateBuilder:
    """Valid for a day, which began so long *ago*."""
    begin = datetime.now(UTC) - ago
    return builder.not_valid_before(begin).not_valid_after(begin + DAY)


def _saved(pem: Path, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> Path:
    plain = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    pem.touch(mode=0o600)
    pem.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return pem
