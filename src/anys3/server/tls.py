"""TLS 1.2 and 1.3, and certificates (HTTP-01)."""

from __future__ import annotations

import ipaddress
import os
import ssl
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

CHAIN_NAME = "tls-self-signed.pem"
KEY_NAME = "tls-self-signed.key"
LIFETIME = timedelta(days=397)
"""Of a certificate of our own: longer ones are refused by some clients."""
RENEW_BEFORE = timedelta(days=30)


class CryptographyMissing(RuntimeError):
    """Making certificates needs the package `cryptography`."""

    def __init__(self) -> None:
        super().__init__("making a certificate needs the package cryptography: pip install 'anys3[tls]'")


def server_context(chain: Path, key: Path) -> ssl.SSLContext:
    """Return a context for servers that speaks TLS 1.2 and 1.3 with that certificate.

    Raises OSError if a file can't be read, ssl.SSLError if the two are no certificate and its key.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    # Compression leaks lengths (CRIME); renegotiation is work for free that a client may ask for.
    context.options |= ssl.OP_NO_COMPRESSION | getattr(ssl, "OP_NO_RENEGOTIATION", 0)
    context.load_cert_chain(chain, key)
    return context


def reload(context: ssl.SSLContext, chain: Path, key: Path) -> None:
    """Use the files' present certificate for all handshakes from now on; on an error keep the old one.

    Raises OSError and ssl.SSLError as `server_context` does.
    """
    server_context(chain, key)  # OpenSSL would keep a new chain although its key does not fit
    context.load_cert_chain(chain, key)


def self_signed(names: Sequence[str], now: datetime) -> tuple[bytes, bytes]:
    """Return a new certificate for host names and IP addresses, and its key (P-256), both PEM.

    Raises CryptographyMissing.
    """
    try:
        from cryptography import x509  # noqa: PLC0415  (an extra)
        from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
        from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
        from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID  # noqa: PLC0415
    except ImportError as error:
        raise CryptographyMissing from error
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "anys3 self-signed")])
    alternatives: list[x509.GeneralName] = []
    for name in names:
        try:
            alternatives.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            alternatives.append(x509.DNSName(name))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))  # clocks differ
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        # A CA of itself, so that clients can be told to trust exactly this file.
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM), secret


def self_signed_files(directory: Path, names: Sequence[str], now: datetime) -> tuple[Path, Path]:
    """Return the paths of a self-signed certificate and its key in `directory`, made if need be.

    One that is there is kept while it covers `names` and lasts for another month, so that clients that
    trust it go on doing so. The key's mode is 0600. Raises CryptographyMissing and OSError.
    """
    chain, key = directory / CHAIN_NAME, directory / KEY_NAME
    if not _is_usable(chain, key, names, now):
        certificate, secret = self_signed(names, now)
        _replace(key, secret, 0o600)
        _replace(chain, certificate, 0o644)
    return chain, key


def names_and_end(chain: Path) -> tuple[list[str], float]:
    """Return for whom a PEM file's first certificate is, and when it ends, in seconds since 1970.

    Raises CryptographyMissing, OSError, ValueError.
    """
    try:
        from cryptography import x509  # noqa: PLC0415  (an extra)
    except ImportError as error:
        raise CryptographyMissing from error
    return _names_and_end(x509.load_pem_x509_certificate(chain.read_bytes()))


def names_and_end_of(certificate: bytes) -> tuple[list[str], float]:
    """Return the same of a certificate in DER. Raises CryptographyMissing, ValueError."""
    try:
        from cryptography import x509  # noqa: PLC0415  (an extra)
    except ImportError as error:
        raise CryptographyMissing from error
    return _names_and_end(x509.load_der_x509_certificate(certificate))


def _names_and_end(certificate: Any) -> tuple[list[str], float]:
    from cryptography import x509  # noqa: PLC0415  (an extra)

    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        names = []
    else:
        names = [str(name.value) for name in extension.value]
    return names, certificate.not_valid_after_utc.timestamp()


def _is_usable(chain: Path, key: Path, names: Sequence[str], now: datetime) -> bool:
    try:
        server_context(chain, key)  # the two belong together
        pem = chain.read_bytes()
        from cryptography import x509  # noqa: PLC0415  (an extra)
    except ImportError as error:
        raise CryptographyMissing from error
    except (OSError, ssl.SSLError):
        return False
    certificate = x509.load_pem_x509_certificate(pem)
    extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    covered = {str(name.value) for name in extension}
    return set(names) <= covered and certificate.not_valid_after_utc - now > RENEW_BEFORE


def _replace(path: Path, data: bytes, mode: int) -> None:
    """Write a file so that nobody sees a part of it, or a secret of another mode."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    new.replace(path)
