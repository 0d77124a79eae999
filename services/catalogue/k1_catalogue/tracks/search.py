"""Fuzzy search without a database extension: words as overlapping trigrams in a `tsvector`. Pure.

The word `night` is indexed as `_ni nig igh ght ht_`, and as `_n` for queries of one letter. A query first requires all
inner trigrams of each of its words: then the typed word is part of a word of the track. If no track has them, it
requires all but a few neighbouring trigrams of each word, because one letter that is wrong, missing, too many or
swapped with the next changes two to four neighbouring trigrams. A short word has too few for that, so it is also
indexed without each of its letters (`__unk __pnk __puk __pun` and `__punk`): words that differ in one letter have one
of these in common (the deletion neighbourhoods of Garbe's SymSpell).

`ts_rank` of an OR query over lexemes that each have one position is the weighted share of the query's lexemes that a
row has, divided by a constant. This overlap ranks the matches.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

WEIGHTS: Final = (0.0, 0.8, 0.9, 1.0)
"""The weights of the tsvector labels D (not used), C (tags), B (artist), A (title)."""
_MAX_FIELD_LENGTH: Final = 500
_MAX_WORD_LENGTH: Final = 24
_MAX_QUERY_WORDS: Final = 8
_MAX_CHANGED: Final = 4
"""Swapping two letters, the worst mistake, changes this many neighbouring trigrams."""
_MIN_EQUAL: Final = 2
"""At least this many trigrams must be equal."""
_SORT_KEY_LENGTH: Final = 40
"""Letters of a title that decide its place in a list; a cursor holds them."""
_SHORT_LENGTHS: Final = range(3, 6)
"""The lengths of the words that are also indexed without each of their letters."""
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
class SearchQuery:
    """A query as three `tsquery` texts.

    Attributes:
        exact: matches the typed words as parts of words.
        similar: also matches words with one wrong letter.
        rank: ranks the matches.
    """

    exact: str
    similar: str
    rank: str


def split_words(text: str) -> list[str]:
    """Return the lower-case words of letters and digits, without accents; long words are cut."""
    decomposed = unicodedata.normalize("NFKD", text[:_MAX_FIELD_LENGTH].casefold()).casefold()
    plain = "".join(letter for letter in decomposed if not unicodedata.combining(letter)).translate(_PLAIN)
    separated = "".join(letter if letter.isalnum() else " " for letter in plain)
    return [word[:_MAX_WORD_LENGTH] for word in separated.split()]


def trigrams(word: str) -> list[str]:
    """Return the overlapping trigrams of `_word_`, as many as the word has letters."""
    padded = f"_{word}_"
    return [padded[start : start + 3] for start in range(len(word))]


def index_text(title: str, artist: str | None, tags: Iterable[str]) -> str:
    """Return the `tsvector` of a track; a trigram counts for the field with the most weight that has it."""
    labels: dict[str, str] = {}
    for label, text in (("A", title), ("B", artist or ""), ("C", " ".join(tags))):
        for word in split_words(text):
            for lexeme in (first_letter_lexeme(word), *trigrams(word), *deletion_variants(word)):
                labels.setdefault(lexeme, label)
    return " ".join(f"'{lexeme}':1{label}" for lexeme, label in sorted(labels.items()))


def sort_key(title: str) -> str:
    """Return the text by which titles are sorted: words in lower case, without accents and punctuation."""
    return " ".join(split_words(title))[:_SORT_KEY_LENGTH]


def first_letter_lexeme(word: str) -> str:
    """Return the lexeme that a query of one letter requires."""
    return f"_{word[0]}"


def deletion_variants(word: str) -> list[str]:
    """Return a short word and its variants without each of its letters; nothing for other words."""
    if len(word) not in _SHORT_LENGTHS:
        return []
    return [f"__{word}", *(f"__{word[:place]}{word[place + 1 :]}" for place in range(len(word)))]


def parse_search(text: str | None) -> SearchQuery | None:
    """Return the query for a typed text; None if there is no letter or digit in it."""
    typed = split_words(text or "")[:_MAX_QUERY_WORDS]
    if not typed:
        return None
    return SearchQuery(
        exact=" & ".join(_exact(word) for word in typed),
        similar=" & ".join(_similar(word) for word in typed),
        rank=_any(dict.fromkeys(lexeme for word in typed for lexeme in trigrams(word))),
    )


def _exact(word: str) -> str:
    if len(word) == 1:
        return _quoted(first_letter_lexeme(word))
    inner = [word[start : start + 3] for start in range(len(word) - 2)]
    return _all(inner or [f"_{word}"])


def _similar(word: str) -> str:
    own = trigrams(word)
    changed = min(_MAX_CHANGED, len(own) - _MIN_EQUAL)
    starts = range(len(own) - changed + 1) if changed > 0 else ()
    tolerant = [_all(own[:start] + own[start + changed :]) for start in starts]
    return (
        f"({' | '.join([*tolerant, *map(_quoted, deletion_variants(word))])})" if tolerant else _exact(word)
    )


def _all(lexemes: Sequence[str]) -> str:
    return f"({' & '.join(map(_quoted, lexemes))})"


def _any(lexemes: Iterable[str]) -> str:
    return f"({' | '.join(map(_quoted, lexemes))})"


def _quoted(lexeme: str) -> str:
    return f"'{lexeme}'"
