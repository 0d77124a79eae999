"""Holds the mean and the deviation of each feature over 154 songs: 144 generated ones of 12 styles, and real ones.

Written by benchmarks/similar/corpus.py. A change needs a new VERSION in `features`.
"""

from collections.abc import Mapping
from typing import Final

CORPUS: Final[Mapping[str, tuple[float, float]]] = {
    "tempo_cos": (0.013339, 0.70829),
    "tempo_sin": (-0.0089006, 0.70574),
    "tempo_log": (6.8787, 0.38646),
    "tempo_stability": (0.89654, 0.20011),
    "danceability": (1.1508, 0.24006),
    "beat_strength": (0.47976, 0.12267),
    "beat_strength_deviation": (0.25842, 0.045224),
    "beat_contrast": (0.27791, 0.20941),
    "key_cos": (0.065708, 0.60044),
    "key_sin": (0.0088138, 0.65222),
    "minor": (-0.043219, 0.88795),
    "key_strength": (0.88627, 0.069641),
    "degree_0": (0.73454, 0.10358),
    "degree_1": (0.50794, 0.12617),
    "degree_2": (0.68115, 0.10929),
    "degree_3": (0.61279, 0.15712),
    "degree_4": (0.62757, 0.14687),
    "degree_5": (0.6156, 0.12111),
    "degree_6": (0.52425, 0.11107),
    "degree_7": (0.74884, 0.11554),
    "degree_8": (0.555, 0.12233),
    "degree_9": (0.60521, 0.13537),
    "degree_10": (0.58833, 0.14246),
    "degree_11": (0.61172, 0.13522),
    "bass": (0.4061, 0.10731),
    "mids": (0.49335, 0.0853),
    "highs": (0.25959, 0.098134),
    "bass_deviation": (0.21481, 0.037821),
    "mids_deviation": (0.20109, 0.03249),
    "highs_deviation": (0.20738, 0.034389),
    "centroid": (7.6174, 0.63599),
    "centroid_deviation": (0.44576, 0.20617),
    "flux": (-4.2865, 0.39616),
    "flux_deviation": (1.0957, 0.31199),
    "flatness": (-6.9252, 1.8828),
    "rolloff": (6.8668, 0.67585),
    "loudness": (-21.178, 4.8504),
    "loudness_range": (5.4786, 3.1593),
    "dynamic_range": (10.693, 4.2891),
    "rms_deviation": (0.038838, 0.026483),
    "silence": (0.0082435, 0.0083727),
    "drops": (0.41799, 0.69348),
}
