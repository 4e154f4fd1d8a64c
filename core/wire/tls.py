"""TLS contexts, and the host ids in a certificate.

Both sides must show a certificate of the cluster's own authority. Names are not host names: the
identity is checked against the host id in the handshake, so `check_hostname` is off on purpose.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from quorate.core.errors import ConfigError
from quorate.core.wire.auth import MutualTls


def server_context(auth: MutualTls) -> ssl.SSLContext:
    """For the accepting side. Raises ConfigError when a file is missing or does not fit."""
    return _context(auth, ssl.PROTOCOL_TLS_SERVER)


def client_context(auth: MutualTls) -> ssl.SSLContext:
    """For the dialling side. Raises ConfigError when a file is missing or does not fit."""
    return _context(auth, ssl.PROTOCOL_TLS_CLIENT)


def _context(auth: MutualTls, protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    try:
        context.load_cert_chain(str(auth.cert), str(auth.key))
        context.load_verify_locations(cafile=str(auth.ca))
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"cannot use the TLS files cert={auth.cert} key={auth.key} ca={auth.ca}: {error}"
        ) from error
    return context


def certified_ids(ssl_object: Any) -> frozenset[str]:
    """The host ids of the other side's certificate: its SAN DNS names, else its common name."""
    certificate: dict[str, Any] = ssl_object.getpeercert() or {}
    names = [value for kind, value in certificate.get("subjectAltName", ()) if kind == "DNS"]
    if not names:
        parts = [pair for part in certificate.get("subject", ()) for pair in part]
        names = [value for key, value in parts if key == "commonName"]
    return frozenset(names)


def dev_certificates(
    folder: Path,
    host_ids: Iterable[str],
    *,
    days: float = 30,
    starts_days_ago: float = 1,
) -> dict[str, MutualTls]:
    """A fresh authority and one certificate per host id, for tests and development only.

    Needs the extra `tls` (cryptography). Keys are written unencrypted, readable by the owner only.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    folder.mkdir(parents=True, exist_ok=True)
    start = dt.datetime.now(dt.UTC) - dt.timedelta(days=starts_days_ago)
    end = start + dt.timedelta(days=days)

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    def builder(subject: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name("quorate development"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(end)
        )

    def write(path: Path, data: bytes) -> Path:
        path.touch(mode=0o600)
        path.write_bytes(data)
        return path

    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_usage = x509.BasicConstraints(ca=True, path_length=0)
    ca = builder("quorate development", ca_key).add_extension(ca_usage, critical=True)
    ca_cert = ca.sign(ca_key, hashes.SHA256())
    ca_path = write(folder / "ca.pem", ca_cert.public_bytes(serialization.Encoding.PEM))
    result: dict[str, MutualTls] = {}
    for host_id in host_ids:
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName(
            [x509.DNSName(host_id), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        )
        usage = x509.ExtendedKeyUsage(
            [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        )
        leaf = builder(host_id, key).add_extension(names, critical=False)
        cert = leaf.add_extension(usage, critical=False).sign(ca_key, hashes.SHA256())
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        cert_path = write(folder / f"{host_id}.pem", cert.public_bytes(serialization.Encoding.PEM))
        result[host_id] = MutualTls(cert_path, write(folder / f"{host_id}.key", pem), ca_path)
    return result
