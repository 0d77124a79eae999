"""The tests that docs/security.md names exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "security.md"
_TEST = re.compile(r"`([\w/.-]+\.(?:py|mjs))::(\w+)`")
_ITEM = re.compile(r"^\| (\d+\.\d+(?:\.\d+)?)", re.MULTILINE)


def test_every_named_test_exists() -> None:
    """A renamed or removed test must be changed in the document too."""
    named = _TEST.findall(DOCUMENT.read_text())
    assert len(named) > 50
    missing = [f"{path}::{test}" for path, test in named if not _defines(ROOT / path, test)]
    assert missing == []


def test_every_chapter_is_there() -> None:
    """ASVS 4.0.3 has 14 chapters; a row that names no test says what is left, or why it does not apply."""
    text = DOCUMENT.read_text()
    assert [int(number) for number in re.findall(r"^## V(\d+) ", text, re.MULTILINE)] == list(range(1, 15))
    assert {int(item.split(".")[0]) for item in _ITEM.findall(text)} == set(range(1, 15))
    rows = [line for line in text.splitlines() if _ITEM.match(line)]
    silent = [row for row in rows if not _TEST.search(row) and not re.search(r"\| (left|design|n/a)\b", row)]
    assert silent == []


def _defines(file: Path, test: str) -> bool:
    return (
        file.is_file()
        and re.search(rf"^\s*(?:async )?def {test}\(", file.read_text(), re.MULTILINE) is not None
    )
