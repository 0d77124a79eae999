"""The regressions: they find known weights, a penalty shrinks them, and no song is judged by weights that saw it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from training.decision.fit import Song, decides_rightly, fit
from training.decision.regression import (
    FOLDS,
    cross_validate,
    folds,
    logistic,
    minimise,
    multinomial,
    probability,
)

KNOWN = np.array([-0.7, 2.0, -0.3])
names = st.lists(st.sampled_from("abcdefghij"), min_size=1, max_size=60)


def evidence(count=400):
    """Cues on very different scales and far from zero."""
    rng = np.random.default_rng(1)
    return rng.normal((0.5, 3.0), (0.4, 5.0), (count, 2))


def test_minimise_finds_the_least_value():
    assert minimise(lambda at: float(((at - [3, -2]) ** 2).sum()), 2) == pytest.approx([3, -2], abs=1e-4)


def test_logistic_finds_known_weights():
    cues = evidence()
    outcomes = probability(KNOWN, cues)
    assert logistic(cues, outcomes, np.ones(len(cues)), 0.0) == pytest.approx(KNOWN, abs=0.02)


def test_probability_is_the_logistic_of_constant_and_cues():
    assert probability(KNOWN, np.array([[1.0, 2.0]])) == pytest.approx([expit(-0.7 + 2.0 - 0.6)])


def test_penalty_shrinks_the_weights_but_not_the_mean():
    cues = evidence()
    outcomes, importance = probability(KNOWN, cues), np.ones(len(cues))
    sizes = []
    for penalty in (0.0, 0.01, 1.0):
        weights = logistic(cues, outcomes, importance, penalty)
        sizes.append(np.abs(weights[1:] * cues.std(axis=0)))
        assert probability(weights, cues).mean() == pytest.approx(outcomes.mean(), abs=1e-3)
    assert (sizes[0] > sizes[1]).all()
    assert (sizes[1] > sizes[2]).all()


def test_importance_counts_like_repetition():
    cues = evidence(40)
    outcomes = (np.random.default_rng(7).random(40) < probability(KNOWN, cues)).astype(float)
    twice = np.arange(40) < 20
    repeated = logistic(
        np.concatenate([cues, cues[twice]]), np.concatenate([outcomes, outcomes[twice]]), np.ones(60), 0.0
    )
    weighted = logistic(cues, outcomes, np.where(twice, 2.0, 1.0), 0.0)
    assert probability(weighted, cues) == pytest.approx(probability(repeated, cues), abs=0.02)


@given(names)
def test_a_group_is_in_one_fold(groups):
    fold = folds(groups)
    assert len(fold) == len(groups)
    assert ((fold >= 0) & (fold < FOLDS)).all()
    for name in set(groups):
        assert len({at for group, at in zip(groups, fold, strict=True) if group == name}) == 1


@given(names.filter(lambda groups: len(set(groups)) > 1))
def test_no_item_is_predicted_by_a_model_of_its_group(groups):
    """The model is the set of groups it was fitted on; an item of the whole is predicted in its place."""
    items = list(enumerate(groups))
    predictions = cross_validate(
        items, groups, lambda rest: {group for _, group in rest}, lambda model, item: (model, item)
    )
    assert [item for _, item in predictions] == items
    for model, (_, group) in predictions:
        assert group not in model
        assert model


def test_multinomial_ranks_the_right_reading_first():
    """The right reading wins by the first cue; the second misleads and varies more."""
    rng = np.random.default_rng(3)
    margins = [
        np.column_stack([rng.uniform(0.5, 1.5, others), rng.normal(-2, 20, others)])
        for others in rng.integers(1, 5, 50)
    ]
    songs = [Song(f"song {number}", number % 5 == 0, each) for number, each in enumerate(margins)]
    weights = fit(songs)
    assert all(decides_rightly(weights, song) for song in songs)
    assert not decides_rightly(-weights, songs[0])


def test_one_better_reading_is_a_wrong_decision():
    song = Song("song", real=False, margins=np.array([[1.0], [-1.0], [2.0]]))
    assert not decides_rightly(np.array([1.0]), song)


def test_songs_of_folders_count_more():
    """Of two that contradict each other, the real one is decided rightly."""
    real, generated = (
        Song("a", real=True, margins=np.array([[1.0]])),
        Song("b", real=False, margins=np.array([[-1.0]])),
    )
    assert fit([real, generated])[0] > 0


def test_penalty_shrinks_multinomial_weights():
    margins = [np.array([[1.0], [0.5]]), np.array([[-0.2]])]
    small, large = (abs(multinomial(margins, np.ones(2), penalty)[0]) for penalty in (1.0, 1e-3))
    assert small < large
