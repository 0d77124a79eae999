"""Tracks, deployments and devices by a prefix of an id or by title."""

from typing import Any

import pytest

from k1_cli.api.client import NotFoundError
from k1_cli.api.lookup import find_deployment, find_device, find_track, song_titles
from k1_cli.errors import CommandError

A, B, C = (f"trk_01K9Z6Q3T4V8W2X0Y1Z5A7B9{end}" for end in ("AA", "AB", "CC"))
D, E = (f"dep_01K9Z6Q3T4V8W2X0Y1Z5A7B9{end}" for end in ("AA", "AB"))
TITLES = {A: "Night Drive", B: "Café [/x]", C: "Same"}


class FakeGateway:
    """Respond with pages of two, as the gateway does."""

    def __init__(self) -> None:
        self.titles = dict(TITLES)
        self.deployments_of = {A: [D], B: [D, E]}

    def tracks(self, cursor: str = "0", **_: Any) -> Any:
        items = [{"id": name, "title": title} for name, title in self.titles.items()]
        start = int(cursor)
        more = {"next_cursor": str(start + 2)} if start + 2 < len(items) else {}
        return {"items": items[start : start + 2], **more}

    def track(self, track_id: str) -> Any:
        if track_id not in self.titles:
            raise NotFoundError("gone")
        return {"track": {"title": self.titles[track_id]}}

    def deployments(self, cursor: str = "0", track_id: str | None = None, **_: Any) -> Any:
        ids = self.deployments_of.get(track_id, []) if track_id else [D, E]
        made = [
            {"id": name, "created_at": "2026-05-01T20:15:30.000Z", "status": "rolled_back"} for name in ids
        ]
        start = int(cursor)
        more = {"next_cursor": str(start + 1)} if start + 1 < len(made) else {}
        return {"total": len(made), "items": made[start : start + 1], **more}

    def devices(self, **_: Any) -> Any:
        made = [{"id": name} for name in ("k1-01", "k1-011", "k2-01")]
        return {"total": len(made), "items": made}

    def device(self, device_id: str) -> Any:
        if device_id != "k1-01":
            raise NotFoundError("no such device")
        return {"id": device_id}


@pytest.fixture
def gateway() -> Any:
    return FakeGateway()


@pytest.mark.parametrize(
    ("meant", "found"),
    [
        (A, A),
        (C[:-1], C),
        ("trk_01K9Z6Q3T4V8W2X0Y1Z5A7B9C", C),
        ("night drive", A),
        (" Night  Drive ", A),
        ("Cafe\u0301 [/x]", B),
        ("caf\udce9 [/X]", B),
    ],
)
def test_a_track_is_found(gateway: Any, meant: str, found: str) -> None:
    """By its id, by a unique prefix of it, or by its title in any notation."""
    assert find_track(gateway, meant) == found


def test_a_whole_id_is_not_looked_up() -> None:
    """A whole id is not looked up; the gateway checks it."""
    unused: Any = None
    assert find_track(unused, A) == A
    assert find_deployment(unused, D) == D


def test_the_candidates_are_listed(gateway: Any) -> None:
    """Several matches are listed; without a match, tracks with a similar title."""
    with pytest.raises(CommandError) as several:
        find_track(gateway, A[:-1])
    assert f"\n  {A}  Night Drive\n  {B}  Café [/x]" in str(several.value)
    gateway.titles[A] = "Same"
    with pytest.raises(CommandError, match="may be any of these"):
        find_track(gateway, "same")
    with pytest.raises(NotFoundError, match=f'there is no track "caf"; near it are:\n  {B}'):
        find_track(gateway, "caf")
    with pytest.raises(NotFoundError, match=r'there is no track "zzz"; `\./k1 tracks` lists them'):
        find_track(gateway, "zzz")


def test_a_deployment_is_found(gateway: Any) -> None:
    """By a prefix of its id, or by the title of a song that was deployed once."""
    assert find_deployment(gateway, E[:-1] + "B") == E
    assert find_deployment(gateway, "Night Drive") == D
    with pytest.raises(CommandError, match="2026-05-01 20:15  rolled back"):
        find_deployment(gateway, D[:-1])
    with pytest.raises(CommandError, match="may be any of these"):
        find_deployment(gateway, B)
    with pytest.raises(
        NotFoundError, match=r'"Same" was never deployed; `\./k1 deployments list` lists them'
    ):
        find_deployment(gateway, "Same")
    with pytest.raises(
        NotFoundError, match='"zzz" is neither a deployment nor its song: there is no track "zzz"'
    ):
        find_deployment(gateway, "zzz")


def test_a_device_is_found(gateway: Any) -> None:
    """A whole id has priority over a prefix of another one."""
    assert find_device(gateway, "k1-01") == {"id": "k1-01"}
    assert find_device(gateway, "k2") == {"id": "k2-01"}
    with pytest.raises(CommandError, match="\n  k1-01\n  k1-011"):
        find_device(gateway, "k1")
    with pytest.raises(NotFoundError, match=r'there is no device "x y"'):
        find_device(gateway, "x y")


def test_a_title_that_is_not_to_be_had_is_an_id(gateway: Any) -> None:
    """A deployment still exists after its track was deleted."""
    gone = "trk_01K9Z6Q3T4V8W2X0Y1Z5A7B9ZZ"
    assert song_titles(gateway, [A, gone, A]) == {A: "Night Drive", gone: gone}
