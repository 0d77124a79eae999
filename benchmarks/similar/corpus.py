"""Measures the mean and the deviation of each feature over a folder of Genesis maps, and writes the table of the product.

    .venv/bin/python benchmarks/similar/corpus.py MAPS > services/catalogue/k1_catalogue/similarity/corpus.py

MAPS holds `*.json` or `*.json.gz`. With `--check` it instead says how often the nearest song has the same style: the
part of the file name before the last `-`.
"""

import argparse
import gzip
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from k1_catalogue.similarity.features import FEATURES, feature_vector, group_distances, raw_features
from k1_contracts.genesis import GenesisMap

HEAD = '''"""Holds the mean and the deviation of each feature over {count} songs: 144 generated ones of 12 styles, and real ones.

Written by benchmarks/similar/corpus.py. A change needs a new VERSION in `features`.
"""

from collections.abc import Mapping
from typing import Final

CORPUS: Final[Mapping[str, tuple[float, float]]] = {{'''


def read_maps(folder: Path) -> Iterator[tuple[str, GenesisMap]]:
    """Yield the name and the map of each file."""
    for file in sorted(folder.glob("*.json*")):
        data = file.read_bytes()
        yield (
            file.name.partition(".")[0],
            GenesisMap.model_validate_json(gzip.decompress(data) if file.suffix == ".gz" else data),
        )


def print_table(folder: Path) -> None:
    """Print the module `corpus`."""
    rows = [raw_features(genesis) for _, genesis in read_maps(folder)]
    print(HEAD.format(count=len(rows)))
    for feature in FEATURES:
        values = np.array([row[feature.name] for row in rows])
        deviation = float(np.nanstd(values))
        print(f'    "{feature.name}": ({np.nanmean(values):.5g}, {max(deviation, 1e-3):.5g}),')
    print("}")


def check(folder: Path) -> None:
    """Print how often neighbours have the same style, and the usual distances."""
    names, vectors = zip(
        *((name, feature_vector(genesis)) for name, genesis in read_maps(folder)), strict=True
    )
    styles = np.array([name.rpartition("-")[0] for name in names])
    generated = np.array([style != "" and (styles == style).sum() > 5 for style in styles])
    matrix = np.stack(vectors).astype(float)
    distances = np.linalg.norm(matrix[:, None] - matrix[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    order = np.argsort(distances, axis=1)
    first = styles[order[:, 0]] == styles
    five = (styles[order[:, :5]] == styles[:, None]).mean(axis=1)
    chance = np.mean([((styles == style).sum() - 1) / (len(styles) - 1) for style in styles[generated]])
    print(f"songs {len(names)}, of styles {generated.sum()}")
    print(
        f"nearest has the same style {first[generated].mean():.2f}, of the five nearest {five[generated].mean():.2f}"
    )
    print(f"by chance {chance:.2f}")
    pairs = distances[np.isfinite(distances)]
    print("distance of pairs: 1 %, 10 %, median", *(f"{q:.2f}" for q in np.percentile(pairs, (1, 10, 50))))
    print("nearest: median", f"{np.median(distances.min(axis=1)):.2f}")
    groups = [group_distances(vectors[i], vectors[i + 7]) for i in range(len(vectors) - 7)]
    for group in groups[0]:
        values = [each[group] for each in groups]
        print(f"  {group}: 10 % {np.percentile(values, 10):.2f}, median {np.median(values):.2f}")
    assert not math.isnan(float(matrix.sum()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("maps", type=Path)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    (check if arguments.check else print_table)(arguments.maps)
