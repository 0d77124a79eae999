"""Fuzzy search without an extension: words as overlapping triples of letters in a `tsvector`. Pure.

A word `night` is indexed as `_ni nig igh ght ht_`, and `_n` for one-letter queries. A query first asks
for all inner triples of each of its words (the word as typed is part of a word of the track), and only
when nothing has them for enough triples that one or two wrong letters do no harm.

`ts_rank` of an OR query over lexemes that each have one position is the weighted share of the query's
lexemes that a row holds, divided by RANK_SCALE: that is the overlap by which matches are ranked.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Final

RANK_SCALE: Final = 1.6449340668
"""pi squared over 6, by which PostgreSQL's `ts_rank` divides (src/backend/utils/adt/tsrank.c)."""
WEIGHTS: Final = (0.0, 0.8, 0.9, 1.0)
"""Of the tsvector labels D (not used), C (tags), B (artist), A (title)."""
SIMILAR_ENOUGH: Final = 0.3
"""The least weighted share of a query's triples for a match with wrong letters."""
_LONGEST_FIELD: Final = 500
_MOST_WORDS: Final = 8
_ANY_TRIPLE_UP_TO: Final = 4
"""A wrong letter leaves a word of up to four letters one triple at worst, or none."""
_ANY_PAIR_UP_TO: Final = 5
"""From six letters on a single wrong letter leaves two neighbouring triples."""
# Letters that Unicode does not decompose into a base letter and a mark.
_PLAIN: Final = str.maketrans(
    {
        "ø": "o",
        "ł": "l",
        "đ": "d",
        "æ": "ae",
        "œ": "oe",
        "\N{LATIN SMALL LETTER DOTLESS I}": "i",
        "þ": "th",
        "ð": "d",
    }
)


@dataclass(frozen=True, slots=True)
class Search:
    """A query as three `tsquery` texts."""

    exact: str
    similar: str
    rank: str


def words(text: str) -> list[str]:
    """Lower-case words of letters and digits, without accents."""
    decomposed = unicodedata.normalize("NFKD", text[:_LONGEST_FIELD].casefold()).casefold()
    plain = "".join(letter for letter in decomposed if not unicodedata.combining(letter)).translate(_PLAIN)
    return "".join(letter if letter.isalnum() else " " for letter in plain).split()


def triples(word: str) -> list[str]:
    """The overlapping triples of `_word_`, as many as the word has letters."""
    padded = f"_{word}_"
    return [padded[start : start + 3] for start in range(len(word))]


def index_text(title: str, artist: str | None, tags: Iterable[str]) -> str:
    """The `tsvector` of a track; a triple counts for the weightiest field that holds it."""
    labels: dict[str, str] = {}
    for label, text in (("A", title), ("B", artist or ""), ("C", " ".join(tags))):
        for word in words(text):
            for lexeme in (word_start(word), *triples(word)):
                labels.setdefault(lexeme, label)
    return " ".join(f"'{lexeme}':1{label}" for lexeme, label in sorted(labels.items()))


def word_start(word: str) -> str:
    """What a query of one letter looks for."""
    return f"_{word[0]}"


def parse_search(text: str | None) -> Search | None:
    """The query for what a person typed; None when there is no letter or digit in it."""
    typed = words(text or "")[:_MOST_WORDS]
    if not typed:
        return None
    return Search(
        exact=" & ".join(_exact(word) for word in typed),
        similar=" & ".join(_similar(word) for word in typed),
        rank=_any(dict.fromkeys(lexeme for word in typed for lexeme in triples(word))),
    )


def _exact(word: str) -> str:
    if len(word) == 1:
        return _quoted(word_start(word))
    inner = [word[start : start + 3] for start in range(len(word) - 2)]
    return _all(inner or [f"_{word}"])


def _similar(word: str) -> str:
    own = triples(word)
    if len(word) < 3:  # noqa: PLR2004  a triple's length
        return _exact(word)
    if len(word) <= _ANY_TRIPLE_UP_TO:
        return _any(own)
    pairs = combinations(own, 2) if len(word) <= _ANY_PAIR_UP_TO else pairwise(own)
    return f"({' | '.join(_all(pair) for pair in pairs)})"


def _all(lexemes: Sequence[str]) -> str:
    return f"({' & '.join(map(_quoted, lexemes))})"


def _any(lexemes: Iterable[str]) -> str:
    return f"({' | '.join(map(_quoted, lexemes))})"


def _quoted(lexeme: str) -> str:
    return f"'{lexeme}'"
