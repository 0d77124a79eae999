"""The glossary has one format, and the names that it quotes exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
GLOSSARY = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
ENTRIES = re.findall(r"^\* \*\*(.+?)\*\*: ((?:.+\n)(?:  .+\n)*)", GLOSSARY, re.MULTILINE)
MAX_WORDS = 45
"""Words in an entry; a longer explanation belongs into another document."""


def test_every_bullet_is_an_entry() -> None:
    """Each has the form `* **term**: text`, so that the checks below find it."""
    assert len(ENTRIES) == len(re.findall(r"^\*", GLOSSARY, re.MULTILINE)) > 90


def test_terms_are_unique_and_sorted() -> None:
    """Terms are sorted without regard to case."""
    terms = [term.casefold() for term, _ in ENTRIES]
    assert terms == sorted(set(terms))


def test_an_entry_is_one_sentence() -> None:
    """It has one sentence, then at most the names on the wire and in the code."""
    for term, text in ENTRIES:
        whole = " ".join(text.split())
        sentence, *names = re.split(r"\.(?: |$)(?=Wire:|Code:|$)", whole)
        assert sentence, term
        assert ". " not in sentence, term
        assert whole.endswith("."), term
        assert len(whole.split()) <= MAX_WORDS, term
        for name in filter(None, names):
            assert re.fullmatch(r"(Wire|Code): (`[^`]+`(, )?)+", name), f"{term}: {name}"


def test_the_names_exist() -> None:
    """Every name that the glossary quotes exists in the source."""
    text = " ".join(" ".join(entry.split()) for _, entry in ENTRIES)
    quoted = {
        name.removesuffix(".<id>")
        for names in re.findall(r"(?:Wire|Code): ((?:`[^`]+`(?:, )?)+)", text)
        for name in re.findall(r"`([^`]+)`", names)
    }
    modules = [
        module for folder in ("libs", "services", "cli") for module in (ROOT / folder).glob("**/k1_*/**/*.py")
    ]
    source = "\n".join([*(module.stem for module in modules), *map(_text, modules)])
    missing = [
        name for name in sorted(quoted) if not re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", source)
    ]
    assert len(quoted) > 20
    assert missing == []


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def test_the_first_documents_link_to_the_glossary() -> None:
    """README, CONTRIBUTING and the architecture link to it."""
    for name in ("README.md", "CONTRIBUTING.md", "docs/architecture.md"):
        assert "glossary.md)" in (ROOT / name).read_text(encoding="utf-8"), name
