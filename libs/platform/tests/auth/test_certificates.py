"""The certificates that are made where a network has none."""

import stat
from pathlib import Path

import pytest
from pydantic import ValidationError

from k1_platform.auth.certificates import TlsFiles, ensure_certificates
from k1_platform.settings import HttpSettings


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_they_are_made_once(tmp_path: Path) -> None:
    """A second call changes nothing, and private keys are for their owner alone."""
    ensure_certificates(tmp_path / "tls", ["stage.local", "192.0.2.7"])
    made = contents(tmp_path / "tls")
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "tls").iterdir()}
    assert modes == {"ca.pem": 0o644, "ca.key": 0o600, "server.pem": 0o644, "server.key": 0o600}
    ensure_certificates(tmp_path / "tls", ["stage.local", "192.0.2.7"])
    assert contents(tmp_path / "tls") == made


@pytest.mark.parametrize("change", ["name", "key", "other CA"])
def test_the_servers_certificate_follows_and_the_ca_stays(tmp_path: Path, change: str) -> None:
    """Devices keep the CA: another name, a lost key or a foreign certificate replaces only the servers' certificate."""
    files = ensure_certificates(tmp_path / "tls", ["stage.local"])
    before = contents(tmp_path / "tls")
    names = ["stage.local"]
    if change == "name":
        names = ["other.local"]
    elif change == "key":
        files.key.unlink()
    else:
        foreign = ensure_certificates(tmp_path / "foreign", ["stage.local"])
        files.certificate.write_bytes(foreign.certificate.read_bytes())
        files.key.write_bytes(foreign.key.read_bytes())
    ensure_certificates(tmp_path / "tls", names)
    after = contents(tmp_path / "tls")
    assert {name for name in after if after[name] != before[name]} == {"server.pem", "server.key"}


def test_a_certificate_without_its_key_is_no_setting() -> None:
    """A service that was given half would serve plain text."""
    with pytest.raises(ValidationError, match="belong together"):
        HttpSettings(tls_cert=TlsFiles(Path("a"), Path("b"), None).certificate)
