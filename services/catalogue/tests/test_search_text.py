"""How text becomes searchable."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k1_catalogue.search import index_text, parse_search, triples, words


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
    assert expected == words(text)


def test_triples_know_where_a_word_begins_and_ends() -> None:
    """As many triples as letters."""
    assert triples("night") == ["_ni", "nig", "igh", "ght", "ht_"]


@given(st.text(), st.text(), st.lists(st.text()))
def test_only_plain_lexemes_reach_the_database(title: str, artist: str, tags: list[str]) -> None:
    """Whatever people type, no quote, backslash or operator of theirs is in the values of the SQL."""
    assert re.fullmatch(r"('\w+':1[ABC]( |$))*", index_text(title, artist, tags))
    query = parse_search(title)
    for text in (query.exact, query.similar, query.rank) if query else ():
        assert re.fullmatch(r"[()&| ]*('\w+'[()&| ]*)+", text)


def test_nothing_to_search_for() -> None:
    """Without a letter or digit there is no query."""
    assert parse_search(None) is None
    assert parse_search(" !? ") is None
