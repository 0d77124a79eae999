"""Fits weights of evidence: logistic and multinomial regression with an L2 penalty, cross-validated by song."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import numpy as np
import scipy.optimize
import scipy.special
from numpy.typing import NDArray

Array = NDArray[np.float64]
Item = TypeVar("Item")
Model = TypeVar("Model")
Answer = TypeVar("Answer")

FOLDS = 6
_SEED = 2
_LEAST_SPREAD = 1e-9


def minimise(loss: Callable[[Array], float], size: int) -> Array:
    """Return the (size,) argument at which a smooth convex function is least, from zeros on."""
    # scipy's types of the result and of the options are partly unknown.
    found = cast("Any", scipy.optimize.minimize)(loss, np.zeros(size), method="L-BFGS-B")
    return np.asarray(found.x, np.float64)


def logistic(evidence: Array, outcomes: Array, importance: Array, penalty: float) -> Array:
    """Return the weights with which evidence predicts outcomes best: (1 + cues,), the constant first.

    Args:
        evidence: (cases, cues); a cue is standardised before its weight is penalised.
        outcomes: (cases,) probability of success, 0..1; a share counts as so many successes of many.
        importance: (cases,) of each case; only the ratios matter.
        penalty: of the sum of the squared weights, against the mean loss. The constant has none.
    """
    centre, spread = evidence.mean(axis=0), evidence.std(axis=0) + _LEAST_SPREAD
    scaled = np.column_stack([np.ones(len(evidence)), (evidence - centre) / spread])
    share = importance / importance.sum()

    def loss(weights: Array) -> float:
        odds = scaled @ weights
        return float(share @ (np.logaddexp(0, odds) - outcomes * odds) + penalty * weights[1:] @ weights[1:])

    found = minimise(loss, scaled.shape[1])
    weights = found[1:] / spread
    return np.concatenate([[found[0] - weights @ centre], weights])


def probability(weights: Array, evidence: Array) -> Array:
    """Return (cases,): the probabilities that `logistic` weights give to (cases, cues) evidence."""
    return np.asarray(scipy.special.expit(weights[0] + evidence @ weights[1:]), np.float64)


def multinomial(margins: Sequence[Array], importance: Array, penalty: float) -> Array:
    """Return the weights that make the right reading of each song the likeliest.

    Args:
        margins: of each song, (other readings, cues): the cues of the right reading less those of each other.
        importance: (songs,) only the ratios matter.
        penalty: of the sum of the squared weights of the cues in units of their spread, against the mean loss.
    """
    spread = np.concatenate(margins).std(axis=0) + _LEAST_SPREAD
    scaled = [each / spread for each in margins]
    share = importance / importance.sum()

    def loss(weights: Array) -> float:
        songs = np.array([np.logaddexp.reduce(np.append(-(each @ weights), 0.0)) for each in scaled])
        return float(share @ songs + penalty * weights @ weights)

    return minimise(loss, len(spread)) / spread


def folds(groups: Sequence[str]) -> NDArray[np.intp]:
    """Return (n,): the fold of each item, at random, the same for all items of a group."""
    names = list(dict.fromkeys(groups))
    order = np.random.default_rng(_SEED).permutation(len(names)) % FOLDS
    fold_of = dict(zip(names, order.tolist(), strict=True))
    return np.array([fold_of[group] for group in groups], np.intp)


def cross_validate(
    items: Sequence[Item],
    groups: Sequence[str],
    fit: Callable[[Sequence[Item]], Model],
    predict: Callable[[Model, Item], Answer],
) -> list[Answer]:
    """Return the prediction for each item by a model that was fitted without the item's fold.

    Args:
        items: at least of two groups.
        groups: of each item, such as its song: a group is never in two folds.
        fit: returns the model of some items.
        predict: returns the model's prediction for one item.
    """
    fold = folds(groups)
    models = {
        number: fit([item for item, at in zip(items, fold, strict=True) if at != number])
        for number in np.unique(fold).tolist()
    }
    return [predict(models[int(at)], item) for item, at in zip(items, fold, strict=True)]
