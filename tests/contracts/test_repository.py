"""Promises about the repository itself."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECTS = sorted(
    p for folder in ("libs", "services", "cli") for p in (ROOT / folder).rglob("pyproject.toml")
)


def _tracked() -> list[Path]:
    listing = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode:
        pytest.skip("not a git checkout: there is no list of tracked files")
    return [ROOT / name for name in listing.stdout.splitlines()]


def test_every_locked_package_has_its_licence_listed() -> None:
    """Whoever changes the lock runs tools/third_party_licences.py."""
    locked = set(re.findall(r"^([\w.-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    listed = set(
        re.findall(r"^\| ([\w.-]+) \|", (ROOT / "docs/third-party-licences.md").read_text(), re.MULTILINE)
    )
    assert locked <= listed
    assert listed - locked <= {"package", "---"}


def test_the_lock_pins_with_hashes_and_names_no_host() -> None:
    """Each requirement has a hash; no index or download address stands in the lock."""
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    assert "--index" not in lock
    blocks = re.split(r"\n(?=\S)", lock)
    unpinned = [block.splitlines()[0] for block in blocks if "==" in block and "--hash=sha256:" not in block]
    assert unpinned == []


@pytest.mark.parametrize("project", PROJECTS, ids=lambda path: path.parent.name)
def test_every_package_says_its_licence(project: Path) -> None:
    """Essentia's terms bind what imports it, so the whole is AGPL."""
    assert 'license = "AGPL-3.0-or-later"' in project.read_text()


def test_the_documents_link_to_what_exists() -> None:
    """Relative links in the documents lead somewhere."""
    documents = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    broken = [
        f"{document.name}: {target}"
        for document in documents
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text(encoding="utf-8"))
        if not (document.parent / target).exists()
    ]
    assert broken == []


def test_no_large_or_secret_files_are_tracked() -> None:
    """No file over 2 MB, no private key."""
    tracked = [path for path in _tracked() if path.is_file()]
    assert [path.name for path in tracked if path.stat().st_size > 2_000_000] == []
    marker = b"-----BEGIN " + b"PRIVATE KEY-----"
    assert [path.name for path in tracked if marker in path.read_bytes()] == []
