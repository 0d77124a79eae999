"""Tests of the texts that the search index and the queries get."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k1_catalogue.tracks.search import index_text, parse_search, split_words, trigrams


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Béyoncé - Déjà Vu", ["beyonce", "deja", "vu"]),
        ("STRASSE straße", ["strasse", "strasse"]),
        ("Mø / Røyksopp", ["mo", "royksopp"]),
        ("\uff46\uff55\uff4c\uff4c width \u21165", ["full", "width", "no5"]),
        ("🎵'); DROP TABLE tracks; --", ["drop", "table", "tracks"]),
        ("東京 Поезд", ["東京", "поезд"]),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    """Case, accents and punctuation make no difference."""
    assert expected == split_words(text)


def test_trigrams_mark_the_beginning_and_the_end() -> None:
    """A word has as many trigrams as letters."""
    assert trigrams("night") == ["_ni", "nig", "igh", "ght", "ht_"]


@given(st.text(), st.text(), st.lists(st.text()))
def test_only_plain_lexemes_reach_the_database(title: str, artist: str, tags: list[str]) -> None:
    """No quote, backslash or operator of a typed text is in the SQL values."""
    assert re.fullmatch(r"('\w+':1[ABC]( |$))*", index_text(title, artist, tags))
    query = parse_search(title)
    for text in (query.exact, query.similar, query.rank) if query else ():
        assert re.fullmatch(r"[()&| ]*('\w+'[()&| ]*)+", text)


def test_a_search_without_letters_or_digits() -> None:
    """Without a letter or digit there is no query."""
    assert parse_search(None) is None
    assert parse_search(" !? ") is None
