"""The names in the header of a part, as many clients write them."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k1_ingest.form.content_disposition import parse_part_names

_NAMES = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=40)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ('filename="song.wav"', "song.wav"),
        ('filename="Say %22hi%22.wav"', 'Say "hi".wav'),
        ('filename="Say \\"hi\\".wav"', 'Say "hi".wav'),
        ('filename="100%25 %C3%A9.wav"', "100%25 %C3%A9.wav"),
        ('filename="a%0Ab%0D%00%1Fc.wav"', "a\nb\r\x00\x1fc.wav"),
        ('filename="a;b=c.wav"; x=y', "a;b=c.wav"),
        ("filename=song.wav", "song.wav"),
        ('FILENAME = "song.wav" ', "song.wav"),
        ('filename="C:\\\\Music\\\\song.wav"', "C:\\Music\\song.wav"),
        ('filename="C:\\Music\\song.wav"', "C:\\Music\\song.wav"),
        ("filename*=UTF-8''%C3%A9%20%22.wav", 'é ".wav'),
        ("filename*=iso-8859-1'en'%E9.wav", "é.wav"),
        ("filename=\"e.wav\"; filename*=utf-8''%C3%A9.wav", "é.wav"),
        ("filename=\"e.wav\"; filename*=idna''%ff", "e.wav"),
        ("filename=\"e.wav\"; filename*=undefined''%ff", "e.wav"),
        ('filename="e.wav"; filename*=nonsense', "e.wav"),
        ("filename*=utf-8''%FF%ZZ", "\ufffd%ZZ"),
        ('filename="never closed', "never closed"),
        ('filename=""', ""),
        ("", ""),
    ],
)
def test_names_of_real_clients_are_parsed(written: str, meant: str) -> None:
    """Browsers, old and new curl, HTTP libraries, and harmless mistakes."""
    assert parse_part_names(f'form-data; name="file"; {written}') == ("file", meant)


@given(_NAMES)
def test_a_browsers_name_is_decoded(name: str) -> None:
    """Only quotation marks are written as %22; a literal %22 cannot be distinguished from them."""
    written = name.replace('"', "%22")
    if "\\" not in name and "%" not in name:
        assert parse_part_names(f'form-data; name="file"; filename="{written}"') == ("file", name)


@given(_NAMES)
def test_an_escaped_and_an_extended_name_are_decoded(name: str) -> None:
    """One has backslashes before quotation marks and backslashes, the other follows RFC 5987."""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    if "%" not in name:
        assert parse_part_names(f'form-data; name="file"; filename="{escaped}"') == ("file", name)
    assert parse_part_names(f"form-data; name=file; filename*=UTF-8''{quote(name, safe='')}") == (
        "file",
        name,
    )


@given(st.text(max_size=200) | st.text("\";\\=*%'fname ", max_size=60))
def test_any_header_is_parsed(header: str) -> None:
    """The result is two strings, never an exception."""
    field, file = parse_part_names(header)
    assert isinstance(field + file, str)
