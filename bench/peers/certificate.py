"""A certificate authority of one day, and a server certificate for the names of loopback."""

from __future__ import annotations

import datetime as dt
import ipaddress
from dataclasses import dataclass
from pathlib import Path

DOMAIN = "s3.localhost"


@dataclass(frozen=True, slots=True)
class Certificate:
    """PEM files: the server's certificate, its private key, and the authority that clients are to trust."""

    chain: Path
    key: Path
    authority: Path

    def joined(self) -> Path:
        """Return one file with key and certificate, for products that read both from one."""
        path = self.chain.with_name("joined.pem")
        path.touch(mode=0o600)
        path.write_bytes(self.key.read_bytes() + self.chain.read_bytes())
        return path


def write_certificate(directory: Path) -> Certificate:
    """Write an authority and a certificate for s3.localhost, *.s3.localhost, localhost and 127.0.0.1.

    The authority's key is never written.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID

    now = dt.datetime.now(dt.UTC)

    def builder(name: str, key: ec.EllipticCurvePrivateKey, issuer: str) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, issuer)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(days=1))
        )

    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority_name = "anys3 bench peers"
    identifier = x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key())
    issuer = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
    usage = dict.fromkeys(
        (
            *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
            *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
        ),
        False,
    )
    authority = (
        builder(authority_name, authority_key, authority_name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(**{**usage, "key_cert_sign": True, "crl_sign": True}), critical=True)
        .add_extension(identifier, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in (DOMAIN, f"*.{DOMAIN}", "localhost")]
    names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    server = (
        builder(DOMAIN, key, authority_name)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(issuer, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    made = Certificate(directory / "server.pem", directory / "server.key", directory / "authority.pem")
    made.key.touch(mode=0o600)
    made.key.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    made.chain.write_bytes(server.public_bytes(pem))
    made.authority.write_bytes(authority.public_bytes(pem))
    return made
