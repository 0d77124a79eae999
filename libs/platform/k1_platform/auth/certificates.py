"""Makes the certificate authority of an installation and the certificate of its servers.

It is for networks that have no CA. `python -m k1_platform.auth.certificates` writes `ca.pem`, `ca.key`, `server.pem` and
`server.key` into the folder K1_TLS, for the comma-separated names K1_TLS_NAMES. The CA is made once, because devices keep
`ca.pem`. The certificate of the servers is renewed when the names change or when it expires within a month.
"""

import ipaddress
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from k1_platform.auth.secret_files import folder_lock, write_atomically
from k1_platform.settings import ObservabilitySettings, TlsSettings

_CA_VALIDITY: Final = timedelta(days=3650)
_SERVER_VALIDITY: Final = timedelta(days=397)
"""Browsers reject server certificates with a longer validity."""
_RENEWAL_BEFORE_END: Final = timedelta(days=30)
_MAX_CLOCK_SKEW: Final = timedelta(days=1)
_PUBLIC: Final = 0o644
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """The certificate of the servers, its key, and the certificate of the CA; None for a CA that clients trust already."""

    certificate: Path
    key: Path
    ca: Path | None


def ensure_certificates(folder: Path, names: Sequence[str]) -> TlsFiles:
    """Make the missing or outdated certificates and keys.

    `names`: host names and IP addresses; the first is the common name of the certificate.

    Raises:
        ValueError: a file contains no certificate or key.
        OSError: the folder cannot be written.
    """
    files = TlsFiles(folder / "server.pem", folder / "server.key", folder / "ca.pem")
    with folder_lock(folder):
        ca_key_file = folder / "ca.key"
        if not (ca_key_file.exists() and (folder / "ca.pem").exists()):
            _make_ca(folder / "ca.pem", ca_key_file)
        ca = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
        if not _is_current(files, ca, names):
            _make_server(files, ca, _load_key(ca_key_file), names)
    return files


def _make_ca(certificate: Path, key_file: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "K1 Song Analysis CA")])
    usage = x509.KeyUsage(
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
    made = (
        _builder(name, name, key, _CA_VALIDITY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write_key(key_file, key)
    write_atomically(certificate, _pem(made), _PUBLIC)


def _make_server(
    files: TlsFiles, ca: x509.Certificate, ca_key: ec.EllipticCurvePrivateKey, names: Sequence[str]
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    made = (
        _builder(subject, ca.subject, key, _SERVER_VALIDITY)
        .add_extension(x509.SubjectAlternativeName(_general_names(names)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(issuer_key, critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    _write_key(files.key, key)
    write_atomically(files.certificate, _pem(made), _PUBLIC)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, validity: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _MAX_CLOCK_SKEW)
        .not_valid_after(now - _MAX_CLOCK_SKEW + validity)
    )


def _is_current(files: TlsFiles, ca: x509.Certificate, names: Sequence[str]) -> bool:
    """Return whether the certificate is issued by the CA, has these names and is valid for another month."""
    if not (files.certificate.exists() and files.key.exists()):
        return False
    made = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    if made.public_key() != _load_key(files.key).public_key():
        return False
    try:
        made.verify_directly_issued_by(ca)
        found = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, TypeError, x509.ExtensionNotFound, InvalidSignature):
        return False
    lasts = made.not_valid_after_utc - datetime.now(UTC) > _RENEWAL_BEFORE_END
    return lasts and list(found) == _general_names(names)


def _general_names(names: Sequence[str]) -> list[x509.GeneralName]:
    return [_general_name(name) for name in dict.fromkeys(names)]


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _load_key(file: Path) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(file.read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError(  # noqa: TRY004  the file is wrong, not the code
            f"{file} contains no elliptic curve key; remove it, or put the right one back"
        )
    return key


def _write_key(file: Path, key: ec.EllipticCurvePrivateKey) -> None:
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_atomically(file, pem.decode())


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def main() -> None:
    """Make the missing or outdated certificates in the folder K1_TLS."""
    # It is slow to import, and the embedded stack imports this module without it.
    from k1_platform.observability.logging import configure_logging  # noqa: PLC0415

    configure_logging("certificates", ObservabilitySettings().log_level)
    settings = TlsSettings()
    names = [name.strip() for name in settings.tls_names.split(",")]
    files = ensure_certificates(settings.tls, names)
    _log.info("certificates are complete", extra={"names": names, "ca": str(files.ca)})


if __name__ == "__main__":
    main()
