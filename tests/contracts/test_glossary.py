"""Promises about the glossary: it can be searched, and the names that it quotes exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
GLOSSARY = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
ENTRIES = re.findall(r"^\* \*\*(.+?)\*\*: ((?:.+\n)(?:  .+\n)*)", GLOSSARY, re.MULTILINE)
MOST_WORDS = 45
"""Words in an entry; what needs more belongs into a document of its own."""


def test_every_bullet_is_an_entry() -> None:
    """`* **term**: text`, so that the checks below see each of them."""
    assert len(ENTRIES) == len(re.findall(r"^\*", GLOSSARY, re.MULTILINE)) > 90


def test_each_term_stands_once_and_in_order() -> None:
    """Sorted without regard to case; no term twice."""
    terms = [term.casefold() for term, _ in ENTRIES]
    assert terms == sorted(set(terms))


def test_an_entry_is_one_sentence() -> None:
    """One sentence that ends with a full stop, then at most the names on the wire and in the code."""
    for term, text in ENTRIES:
        whole = " ".join(text.split())
        sentence, *names = re.split(r"\.(?: |$)(?=Wire:|Code:|$)", whole)
        assert sentence, term
        assert ". " not in sentence, term
        assert whole.endswith("."), term
        assert len(whole.split()) <= MOST_WORDS, term
        for name in filter(None, names):
            assert re.fullmatch(r"(Wire|Code): (`[^`]+`(, )?)+", name), f"{term}: {name}"


def test_the_names_exist() -> None:
    """Whoever renames something that the glossary quotes changes the glossary with it."""
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


def test_the_glossary_is_found() -> None:
    """The documents that a newcomer reads first lead to it."""
    for name in ("README.md", "CONTRIBUTING.md", "docs/architecture.md"):
        assert "glossary.md)" in (ROOT / name).read_text(encoding="utf-8"), name
