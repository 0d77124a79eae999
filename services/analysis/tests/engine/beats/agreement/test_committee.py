"""Tests the choice of the tracker: majority, activation and bars."""

import numpy as np

from k1_analysis.engine.beats.agreement import committee


def test_committee_follows_the_majority() -> None:
    """Three that agree outweigh one that does not."""
    beats = np.arange(6.0, 60.0, 0.5)
    stray = np.cumsum(np.random.default_rng(3).uniform(0.3, 0.9, 90))
    nothing = np.zeros(6100, np.float32)
    members: dict[committee.MemberName, np.ndarray] = {
        "net": stray,
        "onsets": beats,
        "degara": beats + 0.004,
        "multifeature": beats,
    }
    committee_result = committee.choose_member(members, nothing, {})
    assert committee_result.chosen in {"onsets", "degara", "multifeature"}
    assert committee_result.agreement > committee_result.gain["net"]
    assert committee_result.f_measure["onsets"] > 0.6 > committee_result.f_measure["net"]
    assert committee.choose_member({"net": np.empty(0), "onsets": np.empty(0)}, nothing, {}).chosen is None


def test_activation_weighs_against_the_majority() -> None:
    """Two members on the offbeats agree only with each other; the activation supports the beats of the third."""
    beats = np.arange(6.0, 60.0, 0.5)
    activation = np.zeros(6100, np.float32)
    activation[np.round(beats * 100).astype(int)] = 1
    members: dict[committee.MemberName, np.ndarray] = {
        "onsets": beats,
        "degara": beats + 0.25,
        "multifeature": beats + 0.25,
    }
    assert committee.choose_member(members, np.zeros_like(activation), {}).chosen in {
        "degara",
        "multifeature",
    }
    weak: dict[committee.MemberName, np.ndarray] = {"onsets": beats, "degara": beats + 0.25}
    assert committee.choose_member(weak, activation, {}).chosen == "onsets"


def test_bars_decide_between_members_with_equal_support() -> None:
    """Two members half a beat apart, of which neither the others nor the network know better: bars do."""
    beats = np.arange(6.0, 60.0, 0.5)
    members: dict[committee.MemberName, np.ndarray] = {"onsets": beats, "degara": beats + 0.25}
    for better in members:
        bars: dict[committee.MemberName, float] = {name: 1.0 if name == better else 0.8 for name in members}
        assert committee.choose_member(members, np.zeros(6100, np.float32), bars).chosen == better
