"""Which addresses a webhook may go to."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k1_webhooks.deliveries.addresses import AddressNotAllowedError, PublicResolver, is_public, url_problem


@pytest.mark.parametrize(
    "address",
    [
        *("10.0.0.1", "127.0.0.1", "169.254.169.254", "172.16.0.1", "192.168.1.1", "100.64.0.1", "0.0.0.0"),
        *("224.0.0.1", "255.255.255.255", "198.18.0.1", "192.0.2.1", "::1", "::", "fe80::1", "fc00::1", "ff02::1"),
        *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:db8::1"),
    ],
)  # fmt: skip
def test_private_addresses_are_not_public(address: str) -> None:
    """Loopback, link-local (cloud metadata), private, shared, multicast, and IPv6 forms that embed them."""
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "64:ff9b::101:101"])
def test_public_addresses_are(address: str) -> None:
    """Addresses of the internet, also behind NAT64."""
    assert is_public(ip_address(address))


@given(st.ip_addresses(v=4))
def test_an_embedded_address_is_judged_itself(address: IPv4Address) -> None:
    """IPv4-mapped, NAT64 and 6to4 addresses are as public as the IPv4 address in them."""
    for base in (0xFFFF << 32, 0x64FF9B << 96):
        assert is_public(IPv6Address(base | int(address))) == is_public(address)
    assert is_public(IPv6Address(0x2002 << 112 | int(address) << 80)) == is_public(address)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://example.org/x", "https"),
        ("https://user:secret@example.org/", "user name"),
        ("https://example.org/#part", "fragment"),
        ("https://", "host"),
        ("https://[::1]/", "not a public address"),
        ("https://2130706433/", "not a public address"),
        ("https://0x7f.1/", "not a public address"),
        ("https://api.localhost/", "own machine"),
        ("https://example.org:99999/", "no URL"),
    ],
)
def test_bad_urls_are_explained(url: str, says: str) -> None:
    """Each says what is wrong."""
    assert says in (url_problem(url, allow_private=False) or "")


@given(st.text(max_size=60))
def test_any_text_has_an_answer(text: str) -> None:
    """No URL makes the check fail."""
    assert url_problem(f"https://{text}", allow_private=False) is None or text is not None


async def test_names_that_resolve_to_private_addresses_are_refused() -> None:
    """The check is made on what the name resolves to at that moment."""
    resolver = PublicResolver()
    with pytest.raises(AddressNotAllowedError):
        await resolver.resolve("localhost", 443)
    await resolver.close()
