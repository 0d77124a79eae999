"""Fuzzy search without an extension: words as overlapping triples of letters in a `tsvector`. Pure.

A word `night` is indexed as `_ni nig igh ght ht_`, and `_n` for one-letter queries. A query first asks
for all inner triples of each of its words: the word as typed is part of a word of the track. Only when
nothing has them it asks for all but a few neighbouring triples of each word, because one letter that is
wrong, missing, too many or swapped with the next spoils two to four neighbouring ones. Of a short word
that leaves too little, so those are indexed without each of their letters as well (`__unk __pnk __puk
__pun` and `__punk`): words that are one letter apart have one of these in common (the deletion
neighbourhoods of Garbe's SymSpell).

`ts_rank` of an OR query over lexemes that each have one position is the weighted share of the query's
lexemes that a row holds, divided by a constant: that is the overlap by which matches are ranked.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

WEIGHTS: Final = (0.0, 0.8, 0.9, 1.0)
"""Of the tsvector labels D (not used), C (tags), B (artist), A (title)."""
_LONGEST_FIELD: Final = 500
_LONGEST_WORD: Final = 24
_MOST_WORDS: Final = 8
_SPOILT: Final = 4
"""So many neighbouring triples are different when two letters are swapped, the worst of the mistakes."""
_LEFT: Final = 2
"""At least so many triples must agree."""
_SHORT: Final = range(3, 6)
"""Letters of the words that are indexed without each of their letters."""
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
    """Lower-case words of letters and digits, without accents; of long ones the beginning."""
    decomposed = unicodedata.normalize("NFKD", text[:_LONGEST_FIELD].casefold()).casefold()
    plain = "".join(letter for letter in decomposed if not unicodedata.combining(letter)).translate(_PLAIN)
    separated = "".join(letter if letter.isalnum() else " " for letter in plain)
    return [word[:_LONGEST_WORD] for word in separated.split()]


def triples(word: str) -> list[str]:
    """The overlapping triples of `_word_`, as many as the word has letters."""
    padded = f"_{word}_"
    return [padded[start : start + 3] for start in range(len(word))]


def index_text(title: str, artist: str | None, tags: Iterable[str]) -> str:
    """The `tsvector` of a track; a triple counts for the weightiest field that holds it."""
    labels: dict[str, str] = {}
    for label, text in (("A", title), ("B", artist or ""), ("C", " ".join(tags))):
        for word in words(text):
            for lexeme in (word_start(word), *triples(word), *neighbours(word)):
                labels.setdefault(lexeme, label)
    return " ".join(f"'{lexeme}':1{label}" for lexeme, label in sorted(labels.items()))


def word_start(word: str) -> str:
    """What a query of one letter looks for."""
    return f"_{word[0]}"


def neighbours(word: str) -> list[str]:
    """A short word, and what it is without each of its letters; nothing for other words."""
    if len(word) not in _SHORT:
        return []
    return [f"__{word}", *(f"__{word[:place]}{word[place + 1 :]}" for place in range(len(word)))]


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
    spoilt = min(_SPOILT, len(own) - _LEFT)
    starts = range(len(own) - spoilt + 1) if spoilt > 0 else ()
    forgiving = [_all(own[:start] + own[start + spoilt :]) for start in starts]
    return f"({' | '.join([*forgiving, *map(_quoted, neighbours(word))])})" if forgiving else _exact(word)


def _all(lexemes: Sequence[str]) -> str:
    return f"({' & '.join(map(_quoted, lexemes))})"


def _any(lexemes: Iterable[str]) -> str:
    return f"({' | '.join(map(_quoted, lexemes))})"


def _quoted(lexeme: str) -> str:
    return f"'{lexeme}'"
