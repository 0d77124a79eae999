"""The sizes of what is stored are counted by kind."""

from benchmarks.scaling.sizes import grouped

TRACK = "trk_01M8KM5RTFA2V34ZKJJM7PT3R2"


def test_names_are_grouped_without_their_ids() -> None:
    """Messages and objects of different tracks and devices count together, those of other kinds apart."""
    found = [
        (f"artefacts/{TRACK}/manifest.json", 1),
        (f"artefacts/{TRACK[:-1]}3/manifest.json", 2),
        ("telemetry.demo-0001", 3),
        ("telemetry.k1-sim-0002", 4),
        ("live.fleet.summary", 5),
    ]
    assert grouped(found) == {
        "artefacts/*/manifest.json": [1, 2],
        "telemetry.*": [3, 4],
        "live.fleet.summary": [5],
    }
